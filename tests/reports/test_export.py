"""Tables as Markdown, CSV and JSON: what stands in a section stands in each form."""

from __future__ import annotations

import csv
import io
import json

from rich.markup import escape

from reports.content import Column, Section, Table
from reports.export import markdown, to_csv, to_json
from tests.reports.test_terminal import HOSTILE, hostile

NAME = "a_b*c|d`e<f[g]\\h"
ESCAPED = r"a\_b\*c\|d\`e\<f\[g]\\h"


def named(name: str) -> Section:
    table = Table([Column("spec", "setting", right=False)], [{"spec": f"[red]{escape(name)}[/red]"}])
    return Section(name, name, table, notes=[f"why {name}", "and so on"], data=[{"name": name}])


def test_markdown_shows_names_and_takes_nothing_in_them_for_its_own() -> None:
    assert markdown([named(NAME)]) == (
        f"### {ESCAPED}\n\n{ESCAPED}\n\n| setting |\n| :-- |\n| {ESCAPED} |\n\n- why {ESCAPED}\n- and so on\n"
    )


def test_markdown_leaves_alone_what_means_nothing_to_it() -> None:
    text = "jpeg:quality=5 · none (as stored) · ∞ · −15.0 (−35…+5) · 95 % · R&D #3 ~ 2 > 1"
    assert f"### {text}\n" in markdown([named(text)])
    assert r"### a \&lt; b" in markdown([named("a &lt; b")])


def test_markdown_has_no_notes_where_there_are_none() -> None:
    assert markdown([Section("t", "a", Table([Column("x", "x")], [{"x": "1"}]))]) == (
        "### t\n\na\n\n| x |\n| --: |\n| 1 |\n"
    )


def test_markdown_sends_nothing_unseen_to_a_terminal_and_breaks_no_line_of_its_table() -> None:
    text = markdown([hostile()])
    assert all(c.isprintable() or c == "\n" for c in text)
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 3


def test_data_are_as_they_are() -> None:
    for name in (NAME, HOSTILE):
        assert json.loads(to_json([named(name)]))[0]["points"] == [{"name": name}]
        (row,) = csv.DictReader(io.StringIO(to_csv([named(name)]), newline=""))
        assert row == {"name": name}
