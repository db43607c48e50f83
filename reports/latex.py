"""Tables for LaTeX: what pdflatex sets of them needs no package but booktabs."""

from __future__ import annotations

import re

from reports.cells import plain
from reports.content import ASIDE, Section
from reports.words import one_line

_SIGNS = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": "$<$",
    ">": "$>$",
    "`": r"\`{}",
    '"': "''",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\,\ldots\,",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "→": r"$\to$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "∞": r"$\infty$",
    "✓": r"$\surd$",
    "✗": r"$\times$",
    "²": "$^2$",
    "α": r"$\alpha$",
    "λ": r"$\lambda$",
    "Σ": r"$\Sigma$",
    "\u200c": "",
    "\u200d": "",
}

_LIGATURES = re.compile("(?<=[-–—'‘’“”\"?!])(?=[-–—'‘’“”\"])")
"""Between signs that LaTeX would set as one: two hyphens are a dash to it."""


def to_latex(sections: list[Section]) -> str:
    """A table environment a section, its notes below the table, for a document with ``\\usepackage{booktabs}``."""
    return "\n".join(map(_table, sections))


def _table(section: Section) -> str:
    columns = [c for c in section.table.columns if c.rank < ASIDE]
    group = section.table.group
    lines = [r"\begin{table}", r"\centering", f"\\caption{{{_text(section.title)}. {_text(section.answer)}}}"]
    lines.append(f"\\begin{{tabular}}{{{''.join('r' if c.right else 'l' for c in columns)}}}")
    lines += [r"\toprule", " & ".join(_text(c.title) for c in columns) + r" \\", r"\midrule"]
    before: str | None = None
    for row in section.table.rows:
        if group and before not in (None, row.get(group)):
            lines.append(r"\addlinespace")
        before = row.get(group) if group else None
        cells = " & ".join(_text(plain(row.get(c.key, ""))) for c in columns)
        guard = "{}" if cells.startswith(("[", "*")) else ""  # or it would be an option of the command before
        lines.append(f"{guard}{cells} \\\\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if section.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}", r"\footnotesize\raggedright"]
        lines += [f"{_text(note)}\\par" for note in section.notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _text(text: str) -> str:
    parts = _LIGATURES.split(" ".join(one_line(text).split()))
    return "{}".join("".join(_SIGNS.get(c, c) for c in part) for part in parts)
