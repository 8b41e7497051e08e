"""Image networks used by two or more methods, losses or metrics."""
