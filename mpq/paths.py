"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from mpq.errors import UserError


def user_path(text: str | Path) -> Path:
    """``text`` with ``~`` resolved. Raises UserError for what no path can be."""
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user, a null byte
        raise UserError(f"'{str(text)[:60]}' is no path that can be used: {error}"[:200]) from None
    return path
