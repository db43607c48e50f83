"""The versions of the libraries that a backbone's features depend on."""

from __future__ import annotations

from importlib.metadata import version


def versions(*packages: str) -> str:
    """``packages``, and Pillow, which reads and resizes every crop."""
    return ", ".join(f"{name} {version(name)}" for name in (*packages, "pillow"))
