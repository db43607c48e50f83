"""Printing for the command lines: reports in the form that was asked for, and remarks on the side."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from mpq.errors import UserError
from reports.words import one_line

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, a line a point.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")]
AsLatex = Annotated[bool, typer.Option("--latex", help="Print LaTeX tables (booktabs).")]


def form_of(json: bool, csv: bool, markdown: bool, latex: bool) -> str | None:
    forms = {"json": json, "csv": csv, "markdown": markdown, "latex": latex}
    wanted = [name for name, on in forms.items() if on]
    if len(wanted) > 1:
        raise UserError("choose one of --json, --csv, --markdown and --latex")
    return wanted[0] if wanted else None


def show(sections: list[Any], form: str | None = None) -> None:
    from reports import export, latex, terminal

    try:
        if form is not None:
            forms = {
                "json": export.to_json,
                "csv": export.to_csv,
                "markdown": export.markdown,
                "latex": latex.to_latex,
            }
            print(forms[form](sections).rstrip("\n"))
        else:
            console = console_of()
            for section in sections:
                terminal.show(section, console)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def console_of(stderr: bool = False) -> Any:
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # instead of leaving with status 1

    return Piped(stderr=stderr, highlight=False)


def remark(*sentences: str) -> None:
    """Sentences on the side: to stderr, one a line, whatever bytes a file's name has."""
    for sentence in sentences:
        print(one_line(sentence), file=sys.stderr)
