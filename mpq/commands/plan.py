"""``mpq plan``."""

from __future__ import annotations

from typing import Annotated

import typer

from mpq.commands import asking
from mpq.commands.options import numbers
from mpq.devices import device as device_here
from reports.printing import AsCsv, AsJson, AsLatex, AsMarkdown, console_of, form_of, remark, show


def plan(
    plan: asking.PlanFile = None,
    task: asking.Task = None,
    codec: asking.Codecs = None,
    data: asking.Data = None,
    labels: asking.Labels = None,
    no_labels: asking.NoLabels = False,
    model: asking.Models = None,
    weights: asking.Weights = None,
    similarity: asking.Similarity = None,
    limit: asking.Limit = None,
    seed: asking.Seed = None,
    workers: asking.Workers = None,
    device: asking.Device = "auto",
    seconds: Annotated[float, typer.Option(help="Of timing.", min=0)] = 30.0,
    samples: Annotated[
        int | None,
        typer.Option(
            help="As if the data had so many, repeated: for a set like this one.", min=1, show_default=False
        ),
    ] = None,
    cores: Annotated[
        str, typer.Option(help="How many, to tell the time on.", show_default=True)
    ] = "1,16,256",
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """What a sweep will cost, before it runs: cells, core-hours, bytes, and the time on more cores."""
    form = form_of(json, csv, markdown, latex)
    counts = numbers(cores, "--cores")
    made = asking.asked(
        plan,
        task,
        weights,
        similarity,
        codec=codec,
        data=data,
        labels=labels,
        no_labels=no_labels or None,
        model=model,
        limit=limit,
        seed=seed,
    )
    from mpq import engine
    from mpq.benchmarks.sweep import repeated
    from mpq.cost.estimate import estimate
    from mpq.cost.report import cost_section
    from mpq.sweep import Sweep

    console = console_of(stderr=True)
    with console.status("reading data and models"):
        ready = Sweep.prepare(made, device_here(device))
    remark(*ready.notes, *ready.lacking, *ready.dataset.problems)
    if samples:
        ready = repeated(ready, samples)
    with console.status(f"timing blocks for about {seconds:g} s"):
        cost = estimate(ready, seconds=seconds, workers=workers, seed=made.seed)
    here = workers or engine.cores()
    show([cost_section(cost, ready.dataset.name, sorted({here, *counts}), here)], form)
