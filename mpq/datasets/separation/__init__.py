"""Music with its stems, and without."""
