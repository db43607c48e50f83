"""``mpq sweep``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mpq import engine
from mpq.commands import asking
from mpq.commands.options import INCOMPLETE, MaxDrop, Out
from mpq.commands.results import sections_of
from mpq.devices import device as device_here
from mpq.errors import UserError
from reports.printing import AsCsv, AsJson, AsLatex, AsMarkdown, console_of, form_of, remark, show


def sweep(
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
    max_failures: Annotated[
        float | None,
        typer.Option(
            help="Share of samples that may fail before a cell does. [default: 0.01]", show_default=False
        ),
    ] = None,
    out: Out = None,
    workers: asking.Workers = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Do number I of N shares alone, as I/N: for many machines.", show_default=False),
    ] = None,
    where: Annotated[
        str,
        typer.Option("--engine", help="local: this machine's processes; ray: a cluster's (extra: ray)."),
    ] = "local",
    address: Annotated[
        str, typer.Option(help="Of the Ray cluster; 'local' starts one on this machine.")
    ] = "auto",
    timeout: Annotated[
        float,
        typer.Option(help="Seconds that a block, then each sample of it, may take at a setting.", min=1),
    ] = engine.PATIENCE,
    device: asking.Device = "auto",
    retry: Annotated[bool, typer.Option("--retry", help="Make cells that failed anew.")] = False,
    max_drop: MaxDrop = 1.0,
    print_plan: Annotated[
        bool, typer.Option("--print-plan", help="Print the plan as YAML and stop.")
    ] = False,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """Measure scores of models on what codecs left, against rate.

    Alone: the demonstration. The same command again goes on where it was stopped.
    """
    from mpq.plan import to_yaml

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
        max_failures=max_failures,
        out=str(out) if out else None,
    )
    form = form_of(json, csv, markdown, latex)
    if print_plan:
        typer.echo(to_yaml(made), nl=False)
        return
    _run_sweep(made, workers, shard, _cluster(where, address), timeout, device, retry, max_drop, form)


def _cluster(where: str, address: str) -> str:
    if where not in ("local", "ray"):
        raise UserError(f"--engine is local or ray, not '{where}'")
    return address if where == "ray" else ""


def _run_sweep(
    plan: Any,
    workers: int | None,
    shard: str | None,
    cluster: str,
    timeout: float,
    device: str,
    retry: bool,
    max_drop: float,
    form: str | None,
) -> None:
    from mpq.codecs.learned import is_learned

    share = engine.Shard.parse(shard) if shard else engine.WHOLE
    if workers != 1 and not cluster:
        learned = any(is_learned(spec) for spec in plan.codec)
        engine.warm_up(["torch", "timm", "mpq.sweep", *(["mpq.networks.coders"] if learned else [])])
    from mpq.environment import command, environment
    from mpq.store import Store
    from mpq.sweep import Sweep
    from reports.progress import bar

    console = console_of(stderr=True)
    with console.status("reading data and models"):
        made = Sweep.prepare(plan, device_here(device))
        store = Store(plan.folder)
        if retry:
            store.forget(made.failed(store))
    remark(*made.notes, *made.lacking, *made.dataset.problems)
    store.write_invocation(
        {
            "command": command(),
            "plan": made.described,
            "cells": sorted(made.hashes),
            "environment": environment(),
        }
    )
    try:
        with bar(console, plan.folder.as_posix(), "codings") as progress:
            made.run(
                store,
                workers=workers,
                shard=share,
                cluster=cluster,
                patience=timeout,
                started=lambda total, done: progress.start(total, done, made.block_size),
                advanced=progress.advance,
            )
    except KeyboardInterrupt:
        remark("stopped; what was finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    whole = made.hashes & store.finished().keys()
    if shard and whole != made.hashes:
        remark(
            f"share {share} is done; {len(whole)} of {len(made.hashes)} cells are whole. The other shares fill the rest: "
            f"in this folder, or in theirs, which mpq merge puts together and the same sweep with that --out finishes"
        )
        return
    _, sections, status = sections_of(store.read(made.hashes), max_drop, plan.max_failures)
    show(sections, form)
    unreadable = made.unreadable(store)
    remark(*unreadable)
    if form is None and console_of().is_terminal:
        console_of().print(f"\n[dim]mpq report {plan.folder} shows this again.[/dim]")
    if unusable := len(made.dataset.problems) + len(unreadable):
        raise UserError(f"{unusable} of the samples of '{plan.data}' could not be used, as said above")
    if status or made.lacking:
        raise typer.Exit(status or INCOMPLETE)
