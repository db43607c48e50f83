"""Data sets. A module here with a subclass of ``base.DatasetReader`` is found without being listed."""
