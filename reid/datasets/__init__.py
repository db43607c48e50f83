"""Data sets. A module here with a subclass of ``base.ReidReader`` is found without being listed."""
