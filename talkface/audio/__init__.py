"""Speech: features, encoders, lip predictors, synchrony."""
