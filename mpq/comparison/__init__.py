"""Codecs held against one of them: rate at equal score, and score at equal rate."""
