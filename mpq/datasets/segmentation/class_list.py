"""The list that says which class each value of a mask is: a name a line, the first is value 0."""

from __future__ import annotations

from pathlib import Path

from mpq.errors import UserError

FILE = "classes.txt"
NOT_SCORED = frozenset(["ignored", "ignore", "unlabelled", "unlabeled", "void"])
MOST = 4096
"""Lines: a picture's confusion matrix is of their square, 134 MB."""


def class_list(path: Path) -> list[str]:
    """The names, those of ``NOT_SCORED`` among them. Raises UserError."""
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"{path}, which names the masks' values, one a line, cannot be read: {why}") from None
    while names and not names[-1]:
        names.pop()
    if len(names) > MOST:
        raise UserError(f"{path} names {len(names):,} values; more than {MOST:,} are not scored")
    empty = next((i for i, name in enumerate(names, 1) if not name), None)
    if empty:
        raise UserError(f"{path} line {empty} is empty; a value without a class reads 'ignored'")
    twice = next(
        (name for i, name in enumerate(names) if name in names[:i] and name.casefold() not in NOT_SCORED),
        None,
    )
    if twice:
        raise UserError(f"{path} names '{twice}' twice")
    if not any(name.casefold() not in NOT_SCORED for name in names):
        raise UserError(f"{path} names no class")
    return names
