"""The same tables as text for other programs: Markdown, LaTeX, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

from rich.console import Console
from rich.text import Text

from reports import terminal
from reports.content import ASIDE, Section


def markdown(sections: list[Section]) -> str:
    parts = []
    for section in sections:
        columns = [c for c in section.table.columns if c.rank < ASIDE]
        lines = ["| " + " | ".join(c.title for c in columns) + " |"]
        lines.append("| " + " | ".join("--:" if c.right else ":--" for c in columns) + " |")
        for row in section.table.rows:
            cells = (
                Text.from_markup(row.get(c.key, ""), emoji=False).plain.replace("|", "\\|") for c in columns
            )
            lines.append("| " + " | ".join(cells) + " |")
        parts.append(f"### {section.title}\n\n{section.answer}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


_LATEX = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\,\ldots\,",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "∞": r"$\infty$",
    "²": "$^2$",
    "Σ": r"$\Sigma$",
    "≤": r"$\le$",
    "<": "$<$",
    ">": "$>$",
}


def to_latex(sections: list[Section]) -> str:
    """A table environment a section, for a document with ``\\usepackage{booktabs}``."""
    return "\n".join(_latex_table(section) for section in sections)


def _latex_table(section: Section) -> str:
    columns = [c for c in section.table.columns if c.rank < ASIDE]
    group = section.table.group
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{_latex(section.title)}. {_latex(section.answer)}}}",
    ]
    lines.append(f"\\begin{{tabular}}{{{''.join('r' if c.right else 'l' for c in columns)}}}")
    lines += [r"\toprule", " & ".join(_latex(c.title) for c in columns) + r" \\", r"\midrule"]
    before: str | None = None
    for row in section.table.rows:
        if group and before not in (None, row.get(group)):
            lines.append(r"\addlinespace")
        before = row.get(group) if group else None
        cells = (Text.from_markup(row.get(c.key, ""), emoji=False).plain for c in columns)
        lines.append(" & ".join(_latex(cell) for cell in cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()))


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
