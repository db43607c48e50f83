"""Weights: where they come from (sources.py), and the small ones that ship with this suite, each with its card."""
