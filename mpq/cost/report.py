"""A sweep's expected cost in words and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from mpq.cost.estimate import Cost
from mpq.wording import counted
from reports.content import Column, Section, Table
from reports.stats import Estimate

GPUS = (1, 8)
"""That the time is told on, where one has been timed."""


def cost_section(cost: Cost, dataset: str, cores: Sequence[int], here: int) -> Section:
    """cores: numbers of them. here: how many the timing had."""
    answers = cost.samples * cost.cells
    hours = _hours(cost.coding)
    answer = (
        f"{counted(cost.samples, 'sample')} × {counted(cost.settings, 'setting')} × {counted(cost.models, 'model')}: "
        f"{counted(cost.cells, 'cell')}, {counted(answers, 'answer')}. About {hours} of one core"
        + (f" and {_hours(cost.scoring)} of one GPU" if cost.device != "cpu" else "")
        + f", {_size(cost.bytes)} on disk."
    )
    gpus = GPUS if cost.device != "cpu" else (0,)
    rows, data = [], []
    for count in cores:
        for cards in gpus:
            wall = cost.wall(count, cards)
            name = f"{count} (as here)" if count == here else str(count)
            rows.append({"cores": name, "gpus": str(cards or "—"), "wall": duration(wall)})
            data.append({"cores": count, "gpus": cards, "seconds": wall})
    columns = [Column("cores", "cores"), Column("gpus", "GPUs"), Column("wall", "expected time")]
    notes = [
        f"Timed on {counted(cost.calibrated, 'sample')} of {cost.samples:,}, drawn, with {here} processes at work. "
        f"Expected: {duration(cost.start)} to start, then core time / cores, but no less than the longest block, "
        f"{duration(cost.longest)}; there are {counted(cost.blocks, 'block')}, so that more cores than that gain nothing.",
        "Of cores and disks like these; times include what --workers processes take from each other here.",
    ]
    if cost.device == "cpu":
        notes.append(
            "There is no GPU here to be timed; with one, coding stays with the cores and the models' part goes to it."
        )
    head = asdict(cost) | {"dataset": dataset, "cells": cost.cells, "answers": answers}
    return Section(
        f"{dataset} · what it will cost",
        answer,
        Table(columns, rows),
        notes=notes,
        data=[head | one for one in data],
    )


def _hours(seconds: Estimate) -> str:
    text = duration(seconds.value)
    if seconds.low is None or seconds.high is None:
        return text
    return f"{text} (95 % interval {duration(seconds.low)} to {duration(seconds.high)})"


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3.5 minutes``, ``2.1 hours``, ``12 days``: two digits are enough of what is expected."""
    for unit, size, least in (("days", 86_400, 2), ("hours", 3600, 1), ("minutes", 60, 1.5)):
        if seconds >= least * size:
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 9.95 else f"{value:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
