"""Semantic segmenters."""
