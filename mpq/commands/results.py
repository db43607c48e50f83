"""Commands that read runs: ``mpq report``, ``recommend``, ``compare``, ``correlate``, ``merge``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mpq.commands.options import INCOMPLETE, MaxDrop, MaxFailures, allowed_failures
from mpq.errors import UserError
from mpq.paths import user_path
from reports.printing import AsCsv, AsJson, AsLatex, AsMarkdown, console_of, form_of, remark, show

FiguresInto = Annotated[
    Path | None,
    typer.Option(
        "--figures", help="Also write the curves, SVG and PDF, into this folder.", show_default=False
    ),
]


def report(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    max_drop: MaxDrop = 1.0,
    max_failures: MaxFailures = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
    svg: Annotated[
        Path | None, typer.Option(help="Also draw the report into this SVG file.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Also write it as one page, which needs nothing else.", show_default=False),
    ] = None,
    figures: FiguresInto = None,
) -> None:
    """Show a run's results from disk."""
    from mpq.store import Store
    from reports import files

    for file in (user_path(path) for path in (svg, html) if path is not None):
        files.check(file)
    if figures is not None:
        files.make_folder(user_path(figures))
    store = Store(user_path(run), create=False)
    allowed = allowed_failures(max_failures, store)
    cells = store.read()
    groups, sections, _ = sections_of(cells, max_drop, allowed)
    if svg is not None:
        from reports.export import to_svg

        files.write(user_path(svg), to_svg(sections).encode())
    if html is not None:
        from reports import html as page

        names = ", ".join(dict.fromkeys(group.dataset for group in groups))
        shown = _for_page(store, cells, groups, sections, max_drop, allowed)
        page.write(user_path(html), names, shown, how=_how(store))
    _save_figures(sections, figures)
    show(sections, form_of(json, csv, markdown, latex))


def recommend(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    max_drop: MaxDrop = 1.0,
    max_failures: MaxFailures = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """The cheapest setting of each codec whose score loss is small enough, with its confidence."""
    from mpq.report import recommendation_section
    from mpq.store import Store
    from mpq.summary import summarize

    store = Store(user_path(run), create=False)
    groups, allowed = summarize(store.read(), drops=(max_drop,)), allowed_failures(max_failures, store)
    show(
        [recommendation_section(group, max_drop, allowed) for group in groups],
        form_of(json, csv, markdown, latex),
    )


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders.")],
    reference: Annotated[str, typer.Option(help="The codec that the others are held against.")],
    max_drop: MaxDrop = 1.0,
    max_failures: MaxFailures = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
    figures: FiguresInto = None,
) -> None:
    """How many bits each codec needs at equal score (BD-rate), and what it scores at equal bits, with intervals."""
    from mpq.comparison.report import comparison_sections
    from mpq.summary import summarize

    cells, allowed = _cells(runs, max_failures)
    groups = summarize(cells, drops=(max_drop,))
    sections = comparison_sections(groups, reference, max_drop=max_drop, max_failures=allowed)
    _save_figures(sections, figures)
    show(sections, form_of(json, csv, markdown, latex))


def correlate(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders.")],
    max_failures: MaxFailures = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
    figures: FiguresInto = None,
) -> None:
    """How well each similarity foretells the score: over settings, at equal rate, and which samples lose."""
    from mpq.correlation.report import correlation_sections

    cells, allowed = _cells(runs, max_failures)
    sections = correlation_sections(cells, max_failures=allowed)
    _save_figures(sections, figures)
    show(sections, form_of(json, csv, markdown, latex))


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders.")],
    out: Annotated[Path, typer.Option(help="Folder of the whole; it may be a run already.")],
) -> None:
    """Put several runs, of several machines say, into one. The same cell is taken once."""
    from mpq.store import Store

    sources = [Store(user_path(run), create=False) for run in runs]
    target = Store(user_path(out))
    for run, source in zip(runs, sources, strict=True):
        taken = target.take(source)
        more = f", {taken.parts} parts of unfinished cells" if taken.parts else ""
        remark(f"{run}: {taken.cells} cells taken, {taken.known} known already{more}")
    cells = len(target.finished())
    shows = (
        f"; mpq report {out} shows them" if cells else "; a sweep with it as its --out goes on from the parts"
    )
    typer.echo(f"{out}: {cells} cells{shows}.")


def sections_of(cells: list[Any], max_drop: float, max_failures: float) -> tuple[list[Any], list[Any], int]:
    """The groups of cells, a report's section for each, and the exit status that they deserve."""
    from mpq.report import section
    from mpq.summary import summarize

    groups = summarize(cells, drops=(max_drop,))
    failed = any(point.too_many_failures(max_failures) for group in groups for point in group.points)
    sections = [section(group, max_drop=max_drop, max_failures=max_failures) for group in groups]
    return groups, sections, INCOMPLETE if failed else 0


def _for_page(
    store: Any, cells: list[Any], groups: list[Any], sections: list[Any], max_drop: float, max_failures: float
) -> list[Any]:
    """A page's sections: each group's own with its gallery, for which samples are coded again, and its cheapest settings;
    then what foretells the losses, and what the columns are. cells, groups, sections: of all of the store."""
    from mpq.correlation.report import correlation_sections
    from mpq.gallery.galleries import galleries, with_galleries
    from mpq.glossary import glossary_section
    from mpq.report import recommendation_section
    from mpq.wording import amount, title

    with console_of(stderr=True).status("coding samples for the gallery"):
        shown = galleries(store, groups, max_drop=max_drop, max_failures=max_failures)
    page: list[Any] = []
    for group, whole in zip(groups, with_galleries(sections, shown), strict=True):
        answer = f"Of each codec, the lowest rate that loses at most {amount(group.score, max_drop)}."
        cheapest = recommendation_section(group, max_drop, max_failures)
        page += [whole, replace(cheapest, title=title(group, "cheapest settings"), answer=answer)]
    try:
        correlations = correlation_sections(cells, max_failures=max_failures)
    except UserError:  # nothing was measured that could foretell anything
        correlations = []
    return [*page, *correlations, glossary_section(groups)]


def _save_figures(sections: list[Any], folder: Path | None) -> None:
    if folder is not None:
        from reports.figures import save_all

        remark(*(str(file) for file in save_all(sections, user_path(folder))))


def _how(store: Any) -> dict[str, str]:
    """What the run's commands were made with, for a page: each thing once."""
    from mpq.environment import in_words

    said: dict[str, dict[str, None]] = {}
    for made in store.read_invocations():
        for name, value in in_words(made["command"], made["environment"]).items():
            said.setdefault(name, {})[value] = None
    return {name: "\n".join(values) for name, values in said.items()}


def _cells(runs: list[Path], max_failures: float | None) -> tuple[list[Any], float]:
    """The finished cells of several runs, and the share that may fail: what the last run said, unless told."""
    from mpq.store import Store

    stores = [Store(user_path(run), create=False) for run in runs]
    return [cell for store in stores for cell in store.read()], allowed_failures(max_failures, stores[-1])
