"""Reports on a terminal: names are shown as they are, and none of them does anything to it."""

from __future__ import annotations

import io

from rich.console import Console
from rich.markup import escape

from reports.content import Column, Curve, Section, Series, Table
from reports.export import to_svg
from reports.terminal import show

HOSTILE = "run [final]\x1b[2J [/b]\x9b31m\n\u202etxt"
SHOWN = r"run [final]\x1b[2J [/b]\x9b31m \u202etxt"


def hostile() -> Section:
    """A section that says the name wherever something may be said."""
    table = Table([Column("name", HOSTILE, right=False)], [{"name": escape(HOSTILE)}])
    curve = Curve([Series(HOSTILE, [(1.0, 2.0), (2.0, 3.0)])], "bpp", HOSTILE, 2.5, HOSTILE)
    return Section(HOSTILE, HOSTILE, table, curve=curve, notes=[HOSTILE])


def test_names_are_shown_and_move_no_cursor() -> None:
    file = io.StringIO()
    show(hostile(), Console(file=file, width=120))
    out = file.getvalue()
    assert all(c.isprintable() or c == "\n" for c in out)
    assert out.count(SHOWN) == 8  # title, answer, heading, cell, y axis, legend, level, note


def test_a_picture_of_the_terminal_is_no_wilder() -> None:
    text = to_svg([hostile()], 120)
    assert all(c.isprintable() or c.isspace() for c in text) and "\u202e" not in text


def test_words_between_colons_are_no_pictures() -> None:
    file = io.StringIO()
    cell = {"name": "[red]:smile:[/red]"}
    show(Section("t", "a", Table([Column("name", "", right=False)], [cell])), Console(file=file, width=80))
    assert ":smile:" in file.getvalue()
