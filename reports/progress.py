"""One progress bar for everything that takes long: how far, how fast, how long still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """Counts steps. ``per_step`` turns steps into the unit that the rate is told in."""

    def __init__(self, progress: Progress, title: str, unit: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, rate="")
        self._unit = unit
        self._per_step = 1.0
        self.done = 0

    def start(self, total: int, done: int, per_step: float = 1.0) -> None:
        self._per_step, self.done = per_step, done
        self._progress.update(self._task, total=total, completed=done)

    def advance(self, steps: int) -> None:
        self.done += steps
        self._progress.advance(self._task, steps)
        speed = self._progress.tasks[self._task].speed
        if speed:
            self._progress.update(self._task, rate=f"{speed * self._per_step:.1f} {self._unit}/s")


@contextmanager
def bar(console: Console, title: str, unit: str) -> Iterator[Bar]:
    """A bar while the block runs; nothing at all where the output is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, title, unit)
