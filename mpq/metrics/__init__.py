"""Measures: of answers, and of what was decoded. Similarities are in each module's MEASURES, which mpq/media.py joins."""
