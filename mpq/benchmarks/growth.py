"""How a sweep grows: with its samples, which should cost time in proportion and no memory, and with its cores."""

from __future__ import annotations

import math
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mpq import engine
from mpq.benchmarks.sweep import repeated
from mpq.plan import Plan
from mpq.store import Store
from mpq.sweep import Sweep
from mpq.wording import counted

EVERY = 0.1
"""Seconds between looks at memory."""


@dataclass(frozen=True)
class Take:
    """One sweep. seconds: from the first block that was finished to the last, scaled to all of them, so that starting up is
    left out. megabytes: the most that this process and its workers held together, shared pages once; None where the
    system does not tell."""

    samples: int
    workers: int
    answers: int
    seconds: float
    megabytes: float | None


@dataclass(frozen=True)
class Growth:
    """takes: on all cores, fewest samples first. alone: the first of them on one core."""

    described: str
    takes: list[Take]
    alone: Take

    @property
    def exponent(self) -> float | None:
        """p of seconds ~ samples^p between the ends: 1 is in proportion."""
        first, last = self.takes[0], self.takes[-1]
        if first.samples == last.samples:
            return None
        return math.log(last.seconds / first.seconds) / math.log(last.samples / first.samples)

    @property
    def scaling(self) -> float:
        """How many times one core's rate all cores have."""
        return self.alone.seconds / self.takes[0].seconds


def growth(data: str, models: tuple[str, ...], codec: str, samples: list[int], workers: int | None) -> Growth:
    """Sweeps over the data set, repeated under other names until it has so many samples. Raises UserError."""
    made = Sweep.prepare(Plan(data=data, model=models, codec=(codec,), similarity=()))
    count = workers or engine.cores()
    alone = _take(made, min(samples), 1)
    takes = [_take(made, number, count) for number in sorted(samples)]
    described = f"{made.dataset.name}, repeated, {len(made.codecs)} settings with the baseline, {counted(len(models), 'model')}"
    return Growth(described, takes, alone)


def _take(made: Sweep, samples: int, workers: int) -> Take:
    grown = repeated(made, samples)
    stamps: list[float] = []
    pieces = len(grown.blocks) * len(grown.codecs)
    with tempfile.TemporaryDirectory() as folder, _memory() as most:
        # One worker is a process, too: this one keeps what it has loaded.
        grown.run(Store(Path(folder)), workers=workers, advanced=lambda _: stamps.append(time.perf_counter()))
    first = min(workers, len(stamps) - 1) - 1  # from the first piece of the last worker on
    seconds = (stamps[-1] - stamps[first]) * pieces / max(1, len(stamps) - 1 - first)
    answers = samples * len(grown.codecs) * len(grown.models)
    return Take(samples, workers, answers, seconds, most[0] or None)


@contextmanager
def _memory() -> Iterator[list[float]]:
    """A list whose one value becomes the most megabytes that were held while the block ran."""
    most, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(EVERY):
            most[0] = max(most[0], _megabytes())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def _megabytes() -> float:
    """Of this process and all below it, pages that several share divided among them (Linux's PSS); 0 elsewhere."""
    below: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):  # it has just ended
            continue
        below.setdefault(parent, []).append(int(path.parent.name))
    total, waiting = 0, [os.getpid()]
    while waiting:
        process = waiting.pop()
        waiting += below.get(process, [])
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1000
