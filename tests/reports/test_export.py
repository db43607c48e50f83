"""Tables as text: what stands in a section stands in each form."""

from __future__ import annotations

import re

from reports.content import Column, Section, Table
from reports.export import to_latex

SECTION = Section(
    "a_b · 50 %",
    "It keeps 98 % of {all} at 3 × less & more.",
    Table(
        [
            Column("spec", "setting", right=False),
            Column("score", "top-1 % (95 %)"),
            Column("enc", "enc ms", 10),
        ],
        [
            {"codec": "none", "spec": "none", "score": "90.0 (75–100)"},
            {
                "codec": "x",
                "spec": r"x:weights=a_b\c^~#$",
                "score": "[red]−15.0 (−35…+5)[/red]",
                "enc": "3.0",
            },
        ],
        group="codec",
    ),
)


def test_latex_says_what_the_table_says_and_escapes_what_it_must() -> None:
    text = to_latex([SECTION])
    assert r"\caption{a\_b $\cdot$ 50 \%. It keeps 98 \% of \{all\} at 3 $\times$ less \& more.}" in text
    assert (
        r"x:weights=a\_b\textbackslash{}c\textasciicircum{}\textasciitilde{}\#\$ & $-$15.0 ($-$35\,\ldots\,+5) \\"
        in text
    )
    assert "[red]" not in text and "enc ms" not in text
    assert text.count(r"\addlinespace") == 1
    assert re.search(r"\\begin\{tabular\}\{lr\}", text)
    assert text.count("{") == text.count("}")
    assert all(line.count(" & ") == 1 for line in text.splitlines() if line.endswith(r"\\"))
