"""Reports on a terminal, or as plain text where the output is none."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from reports.cells import styled
from reports.content import Column, Section, Table
from reports.curve import draw
from reports.words import one_line


def show(section: Section, console: Console) -> None:
    """The answer first, then the table, the curve and the notes."""
    console.print()
    console.print(Text(one_line(section.title), style="bold"))
    console.print(Text(one_line(section.answer)))
    console.print()
    console.print(table(section.table, console.width))
    if section.curve is not None:
        console.print()
        console.print(draw(section.curve, min(console.width, 110)))
    if section.notes:
        console.print()
    for note in section.notes:
        console.print(Text(one_line(note), style="dim"))


WORDS = 24
"""Columns that a column of words is content with, if it must: it wraps."""


def fitting(content: Table, width: int) -> list[Column]:
    """The columns that fit ``width``: while they do not, the one of the highest rank goes; rank 0 stays."""
    columns = list(content.columns)
    while sum(_room(content, c) for c in columns) > width:
        last = max(columns, key=lambda c: c.rank)
        if last.rank == 0:
            break
        columns.remove(last)
    return columns


def _room(content: Table, column: Column) -> int:
    cells = [styled(row.get(column.key, "")).cell_len for row in content.rows]
    widest = max([Text(one_line(column.title)).cell_len, *cells])
    return 2 + (widest if column.right else min(widest, WORDS))


def table(content: Table, width: int = 10_000) -> RichTable:
    """A table of the columns that ``width`` has room for."""
    columns = fitting(content, width)
    titled = any(column.title for column in columns)
    rich = RichTable(
        box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", collapse_padding=True, show_header=titled
    )
    for column in columns:
        # Words may wrap; a figure that is cut must show it.
        rich.add_column(
            Text(one_line(column.title)),
            justify="right" if column.right else "left",
            no_wrap=column.right,
            overflow="ellipsis" if column.right else "fold",
        )
    previous = None
    for row in content.rows:
        band = row.get(content.group) if content.group else None
        if previous is not None and band != previous:
            rich.add_section()
        previous = band
        rich.add_row(*(styled(row.get(c.key, "")) for c in columns))
    return rich
