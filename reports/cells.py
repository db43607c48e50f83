"""What stands in a table's cell: rich's markup, in which whoever made it has escaped the names."""

from __future__ import annotations

from rich.text import Text

from reports.words import one_line


def styled(cell: str) -> Text:
    """A cell with its colours, on one line and with nothing unseen in it."""
    return Text.from_markup(one_line(cell), emoji=False)


def plain(cell: str) -> str:
    """The same without colours."""
    return styled(cell).plain
