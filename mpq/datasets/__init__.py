"""Data sets, a folder a task. A module there with a subclass of ``base.DatasetReader`` is found without being listed."""
