"""``mpq reproduce``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mpq.commands.options import INCOMPLETE
from mpq.devices import device as device_here
from reports.printing import AsCsv, AsJson, AsLatex, AsMarkdown, console_of, form_of, show


def reproduce(
    rows: Annotated[
        list[str] | None,
        typer.Argument(help="Parts of rows' names: imagenet, jpeg, imagenet/vit-b16/jpeg. All, unless told."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=DIR of imagenet, ade20k, common-voice, musdb, beans, xray. Again for more.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE of a model or codec. Again for more.", show_default=False),
    ] = None,
    instead: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=SPEC: a stand-in, which is compared with nothing. Again for more.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Take this many samples, drawn.", min=1, show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drawing.", min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/reproduce"),
    workers: Annotated[
        int | None,
        typer.Option(help="Processes; 1 is this one. [default: one a core]", min=1, show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda, mps.")] = "auto",
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """The published experiment (Jacobellis et al. 2024), row by row, beside what was printed; or what a row lacks."""
    from mpq import engine
    from mpq.reproduction import Request, pairs
    from mpq.reproduction.preparation import prepare
    from mpq.reproduction.report import reproduction_sections
    from reports.progress import bar

    form, console = form_of(json, csv, markdown, latex), console_of(stderr=True)
    request = Request(
        tuple(rows or ()),
        pairs(data or [], "data"),
        pairs(weights or [], "weights"),
        pairs(instead or [], "instead"),
        limit,
        seed,
        str(out),
    )
    with console.status("reading data and models"):
        trials = prepare(request, device_here(device))
    if workers != 1 and any(trial.sweep is not None for trial in trials):
        engine.warm_up(["torch", "timm", "mpq.sweep"])
    for trial in trials:
        if (sweep := trial.sweep) is None:
            continue
        with bar(console, trial.experiment.name, "codings") as progress:
            trial.run(
                workers=workers,
                started=partial(progress.start, per_step=sweep.block_size),
                advanced=progress.advance,
            )
    show(reproduction_sections(trials), form)
    if any(trial.lacking for trial in trials if trial.experiment.name in request.data):
        raise typer.Exit(INCOMPLETE)
