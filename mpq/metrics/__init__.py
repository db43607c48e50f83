"""Measures: pure functions, one file a measure. Similarities are looked up by name in ``similarity``."""
