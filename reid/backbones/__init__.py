"""Backbones. A module here with a subclass of ``base.BackboneSource`` is found without being listed."""
