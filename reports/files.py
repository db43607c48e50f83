"""Where reports are written."""

from __future__ import annotations

from pathlib import Path

from mpq.errors import UserError


def write(path: Path, data: bytes) -> None:
    """Raises UserError where ``path`` cannot be written."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UserError(f"'{path}' cannot be written: {error.strerror}") from None


def make_folder(path: Path) -> None:
    """Raises UserError where there is, and can be, no such folder."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"'{path}' cannot be made: {error.strerror}") from None
