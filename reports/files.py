"""Where reports are written."""

from __future__ import annotations

import os
from pathlib import Path

from mpq.errors import UserError


def write(path: Path, data: bytes) -> None:
    """Raises UserError where ``path`` cannot be written."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UserError(f"'{path}' cannot be written: {error.strerror}") from None


def check(path: Path) -> None:
    """Before long work. Raises UserError where ``path`` could not be written: its folder is missing, say."""
    folder = path.parent
    if path.is_dir():
        raise UserError(f"'{path}' is a folder, and is to be a file")
    if not folder.is_dir():
        raise UserError(f"'{path}' cannot be written: there is no folder '{folder}'")
    if not os.access(folder, os.W_OK):
        raise UserError(f"'{path}' cannot be written: '{folder}' does not let you")


def make_folder(path: Path) -> None:
    """Raises UserError where there is, and can be, no such folder."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"'{path}' cannot be made: {error.strerror}") from None
