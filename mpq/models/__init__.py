"""Models. A module here with a subclass of ``base.ClassifierSource`` is found without being listed."""
