"""The same tables as text for other programs: Markdown, CSV, JSON, and a terminal's as SVG."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

from rich.console import Console

from reports import terminal
from reports.cells import plain
from reports.content import ASIDE, Section
from reports.words import one_line


def markdown(sections: list[Section]) -> str:
    """A heading, the answer, the table and the notes of each section."""
    parts = []
    for section in sections:
        columns = [c for c in section.table.columns if c.rank < ASIDE]
        table = [_cells([_markdown(c.title) for c in columns])]
        table.append(_cells(["--:" if c.right else ":--" for c in columns]))
        table += [
            _cells([_markdown(plain(row.get(c.key, ""))) for c in columns]) for row in section.table.rows
        ]
        notes = [f"- {_markdown(note)}" for note in section.notes]
        blocks = [
            f"### {_markdown(section.title)}",
            _markdown(section.answer),
            "\n".join(table),
            "\n".join(notes),
        ]
        parts.append("\n\n".join(filter(None, blocks)) + "\n")
    return "\n".join(parts)


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    """Anybody's text as Markdown that shows it: of what has a meaning there, nothing is taken for it."""
    return re.sub(r"[\\`*_\[<|]|&(?=#?\w+;)", r"\\\g<0>", one_line(text))


def to_svg(sections: list[Section], width: int = 100) -> str:
    """What a terminal of ``width`` columns shows, as a picture that asks nothing of the network."""
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for section in sections:
        terminal.show(section, console)
    picture = console.export_svg(title="mpq")
    return re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)


def to_json(sections: list[Section]) -> str:
    """A list of sections: title, answer, notes and points. Numbers that JSON lacks (∞, NaN) are null."""
    content = [
        {"title": s.title, "answer": s.answer, "notes": s.notes, "points": [_finite(d) for d in s.data]}
        for s in sections
    ]
    return json.dumps(content, indent=2, ensure_ascii=False)


def to_csv(sections: list[Section]) -> str:
    """A line a point; nested values get dotted names (``scores.top1.low``); ∞ and NaN are empty."""
    rows = [_flat(_finite(d)) for s in sections for d in s.data]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat |= _flat(inner, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = inner
    return flat
