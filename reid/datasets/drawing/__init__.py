"""Drawing dressed figures in places as cameras crop them, with nothing but NumPy: the same pictures everywhere.

RandomState's stream is frozen for ever (NEP 19), and no font or drawing library has a say, so the pictures are the
same on every machine up to a rounding.
"""
