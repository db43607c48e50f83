"""Anybody's words, a file's name say, made fit to be shown."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"  # unseen, but letters of some scripts need them


def one_line(text: str) -> str:
    """``text`` on one line: white space as blanks, bytes that are no UTF-8 and what is unseen as escapes.

    What moves a terminal's cursor is among the unseen, and what turns the direction of writing: a name shall not look
    like another.
    """
    known = text.encode("utf-8", "backslashreplace").decode()
    return "".join(
        c if c.isprintable() or c in _JOINERS else " " if c.isspace() else repr(c)[1:-1] for c in known
    )


def lines(text: str) -> str:
    """The same, keeping line breaks."""
    return "\n".join(map(one_line, text.splitlines()))
