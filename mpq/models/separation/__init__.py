"""Separators."""
