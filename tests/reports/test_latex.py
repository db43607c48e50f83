"""Tables for LaTeX: what stands in a section stands in them, and pdflatex knows every sign."""

from __future__ import annotations

import re

import pytest

from reports.content import Column, Section, Table
from reports.latex import to_latex
from tests.reports.test_terminal import hostile

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
    notes=["1 sample failed & was left out.", "a: 5 % are grey."],
)


def said(text: str) -> str:
    """A text as it is set in a caption."""
    (caption,) = re.findall(r"\\caption\{t\. (.*)\}", to_latex([Section("t", text, Table([], []))]))
    return caption


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


def test_notes_stand_below_the_table() -> None:
    text = to_latex([SECTION])
    _, below = text.split(r"\end{tabular}")
    assert below.index(r"1 sample failed \& was left out.\par") < below.index(r"a: 5 \% are grey.\par")
    assert below.rstrip().endswith(r"\end{table}")
    for place in re.findall(r"\\begin\{(\w+)\}", text):
        assert text.count(rf"\begin{{{place}}}") == text.count(rf"\end{{{place}}}")


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("mpq report --data", "mpq report -{}-data"),
        ("a---b", "a-{}-{}-b"),
        ("5-–6", "5-{}--6"),
        ("it's ''odd''", "it's '{}'odd'{}'"),
        ('“so” ‘he’ "said"', "``so'' `he' ''said''"),
        ("`x`", r"\`{}x\`{}"),
        ("a|b", r"a\textbar{}b"),
        ("why?‘", "why?{}`"),
    ],
)
def test_signs_that_latex_would_set_as_others_are_set_as_they_are(text: str, latex: str) -> None:
    assert said(text) == latex


def test_every_sign_that_the_suite_prints_is_one_that_pdflatex_knows() -> None:
    text = said("− – — … × · → ✓ ✗ ≤ ≥ ± α λ ∞ ² Σ ‘’“”")
    assert text.isascii() and text.count("$") % 2 == 0
    assert said("a\u200db") == "ab"


def test_what_is_unseen_is_spelled() -> None:
    text = to_latex([hostile()])
    assert all(c.isprintable() or c == "\n" for c in text)
    assert r"\textbackslash{}x1b[2J" in text and "[final]" in text


def test_a_row_that_begins_with_a_bracket_is_no_option() -> None:
    table = Table([Column("x", "x", right=False)], [{"x": "[b"}, {"x": "*"}, {"x": "c"}])
    lines = to_latex([Section("t", "a", table)]).splitlines()
    assert lines[lines.index(r"\midrule") + 1 :][:3] == [r"{}[b \\", r"{}* \\", r"c \\"]
