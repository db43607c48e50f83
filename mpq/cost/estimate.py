"""What a sweep will cost before it is run: a few of its blocks, drawn, go the whole way and are timed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq import engine
from mpq.rows import schema, to_table
from reports.resampling import Ratio, distributions
from reports.stats import Estimate, percentile_interval

if TYPE_CHECKING:
    from mpq.sweep import Sweep


@dataclass(frozen=True)
class Cost:
    """Of a plan, on machines like this one.

    samples, settings (with the baseline), models: of which there are samples × settings × models answers. calibrated: samples
    that were timed. coding: seconds of one core, for all that workers do. scoring: seconds of the GPU, where there
    is one; else part of ``coding``. start: seconds until a worker is ready. longest: of a block, which no number of
    cores shortens. bytes: of the finished cells.
    """

    samples: int
    settings: int
    models: int
    blocks: int
    calibrated: int
    device: str
    coding: Estimate
    scoring: Estimate
    start: float
    longest: float
    bytes: int

    @property
    def cells(self) -> int:
        return self.settings * self.models

    def wall(self, cores: int, gpus: int = 0) -> float:
        """Seconds on so many cores (and GPUs, over which the scoring is shared): the slower of the two ways, but never
        less than the longest block."""
        used = min(cores, self.blocks)
        scoring = self.scoring.value / gpus if gpus else 0.0
        return self.start + max(self.longest, self.coding.value / used, scoring)


@dataclass
class _Timed:
    """A sweep's job that returns what its blocks took instead of their rows. Wholly on one side of a process border
    but for a piece's seconds, so that it times what a sweep does."""

    job: Any
    started: float = field(default_factory=time.time)
    ready: float = 0.0

    def open(self, threads: int, *, scores: bool) -> None:
        self.job.open(threads, scores=scores)
        self.ready = time.time() - self.started

    def code(self, block: engine.Block) -> Iterator[Any]:
        before = time.perf_counter()
        for piece in self.job.code(block):
            yield piece, time.perf_counter() - before
            before = time.perf_counter()

    def scorer(self) -> Callable[[Any], engine.Rows]:
        score = self.job.scorer()

        def timed(sent: Any) -> engine.Rows:
            piece, coding = sent
            before = time.perf_counter()
            rows = score(piece)
            return [
                {
                    "coding": coding,
                    "scoring": time.perf_counter() - before,
                    "ready": self.ready,
                    "rows": rows,
                }
            ]

        return timed

    def lost(self, block: engine.Block, reason: str) -> engine.Rows:
        return []


def estimate(made: Sweep, *, seconds: float, workers: int | None = None, seed: int = 0) -> Cost:
    """Runs blocks of the sweep, drawn with ``seed``, for about ``seconds``, in as many processes as the sweep would.

    Every process has one at least. Intervals draw blocks; they have no ends where fewer than two were timed, or none
    where all were.
    """
    count = workers or engine.cores()
    blocks = made.blocks
    drawn = random.Random(seed).sample(blocks, len(blocks))
    end = time.monotonic() + seconds
    begun = 0

    def enough(block: engine.Block) -> bool:
        nonlocal begun
        begun += 1
        return begun > count and time.monotonic() > end

    slots = list(made.cells)
    missing = dict.fromkeys(range(len(made.dataset.sources)), slots)
    score_here = made.device != "cpu"
    results = engine.run(_Timed(made.job(missing)), drawn, workers=count, score_here=score_here, skip=enough)
    taken = [(len(block), pieces) for block, pieces in results if pieces]
    sizes = np.array([size for size, _ in taken], dtype=float)
    coding = np.array([sum(piece["coding"] for piece in pieces) for _, pieces in taken])
    scoring = np.array([sum(piece["scoring"] for piece in pieces) for _, pieces in taken])
    if not score_here:
        coding, scoring = coding + scoring, np.zeros_like(scoring)
    samples = len(made.dataset.sources)
    rows = [row for _, pieces in taken for piece in pieces for row in piece["rows"]]
    return Cost(
        samples,
        len(made.codecs),
        len(made.models),
        len(blocks),
        int(sizes.sum()),
        made.device,
        _scaled(coding, sizes, samples),
        _scaled(scoring, sizes, samples),
        max((piece["ready"] for _, pieces in taken for piece in pieces), default=0.0),
        float((coding + scoring).max(initial=0.0)),
        _bytes(made, rows, samples),
    )


def _scaled(seconds: np.ndarray, sizes: np.ndarray, samples: int) -> Estimate:
    """Of all samples, from those of some blocks."""
    rate = Ratio.of(seconds, sizes)
    value = samples * rate.value
    if len(sizes) < 2 or sizes.sum() == samples:
        return Estimate(value)
    low, high = percentile_interval(samples * distributions([rate], len(sizes))[:, 0])
    return Estimate(value, low, high)


def _bytes(made: Sweep, rows: list[dict[str, Any]], samples: int) -> int:
    """Of the finished cells: what each file has without rows, and what its rows add."""
    fields = schema(made.task.row_fields)
    by_cell: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_cell.setdefault(row["cell"], []).append(row)
    total = 0.0
    for own in by_cell.values():
        none, some = (_file_size(to_table(part, fields)) for part in (own[:1], own))
        each = (some - none) / max(1, len(own) - 1)
        total += none + each * (samples - 1)
    return round(total)


def _file_size(table: Any) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return len(buffer.getvalue())
