"""Models, a folder a task. A module there with a subclass of ``base.ModelSource`` is found without being listed."""
