"""Every score, its baselines and the report."""
