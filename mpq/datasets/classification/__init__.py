"""Pictures, with classes or without."""
