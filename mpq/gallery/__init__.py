"""Galleries: what a sweep's models saw and heard, for pages."""
