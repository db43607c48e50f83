"""NFC, re-ranking and evaluation beside the published programs: seconds, memory, results, and how they grow.

Every measurement has a process of its own, so that its peak of memory is its own, too.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

import numpy as np

from mpq.errors import UserError
from reid.features import FeatureSet, l2_normalized

Work = Literal["NFC", "re-ranking", "evaluation"]
"""NFC: k1 = k2 = 2, within all samples. re-ranking: k1 = 50, k2 = 15, as TransReID has it. evaluation: distances,
mAP, CMC and mINP. The last two have Market-1501's share of queries."""

Program = Literal["published", "ours"]

SIZES = (5_000, 10_000, 20_000, 50_000, 100_000)
"""Samples, query and gallery together."""

MARKET_SIZE = 19_281
"""Market-1501's 3,368 queries and 15,913 gallery items: an evaluation has this in place of 20,000."""

PUBLISHED_LIMIT = 20_000
"""Samples up to which the published programs are run, too: they hold several N × N tables."""

_QUERIES = 3368 / MARKET_SIZE
_CHECKED = 500  # rows of faiss's neighbours that are searched again
_WARM_UP = 300  # samples with which libraries load and threads start


@dataclass(frozen=True)
class Measured:
    """seconds: the median of the rounds. extra: bytes at the peak beyond what input and libraries take."""

    seconds: float
    extra: int


@dataclass(frozen=True)
class SideBySide:
    """published, difference: None where only ours was run. difference: the largest between the two results."""

    work: Work
    samples: int
    queries: int
    ours: Measured
    published: Measured | None
    difference: float | None


@dataclass(frozen=True)
class Neighbors:
    """The 2 nearest others of every sample by faiss. gpus: how many it found; with 0 the CPU did it.

    equal: the share of ``checked`` rows for which blocked torch names the same neighbours.
    """

    samples: int
    dimensions: int
    gpus: int
    measured: Measured
    checked: int
    equal: float


def side_by_side(
    largest: int = SIZES[0],
    *,
    works: tuple[Work, ...] = get_args(Work),
    dimensions: int = 768,
    limit: int = PUBLISHED_LIMIT,
    rounds: int = 1,
    started: Callable[[str], None] = lambda what: None,
) -> list[SideBySide]:
    """Each work at each of ``sizes_up_to(largest)``, by both programs in turn.

    limit: samples up to which the published programs are run. started: told what is being measured. Raises
    UserError where a process dies, as it does without enough memory.
    """
    found = []
    for work in works:
        for samples in sizes_up_to(largest, work):
            programs: tuple[Program, ...] = ("published", "ours") if samples <= limit else ("ours",)
            found.append(_compared(work, programs, samples, dimensions, rounds, started))
    return found


def sizes_up_to(largest: int, work: Work) -> list[int]:
    """SIZES as far as ``largest``; that itself where it is smaller than all."""
    sizes = [size for size in SIZES if size <= largest] or [largest]
    return [MARKET_SIZE if (work, size) == ("evaluation", 20_000) else size for size in sizes]


def neighbors_by_faiss(samples: int = 1_000_000, *, dimensions: int = 512, memory: int = 2**30) -> Neighbors:
    """Every sample's 2 nearest others by faiss's exact index, on the GPU where it finds one.

    memory: as ``reid.neighbors.nearest`` has it. Raises UserError where faiss is missing or memory is.
    """
    return _alone(_measure_neighbors, samples, dimensions, memory)


def made_features(samples: int, dimensions: int, seed: int = 0) -> FeatureSet:
    """Seeded features of length 1 of people under six cameras, some 26 crops each; no junk."""
    rng = np.random.default_rng(seed)
    people = max(1, samples // 26)
    pids, camids = rng.integers(1, people + 1, samples), rng.integers(1, 7, samples)
    features = 3 * rng.standard_normal((samples, dimensions), dtype=np.float32)
    features += rng.standard_normal((people + 1, dimensions), dtype=np.float32)[pids]
    return FeatureSet(l2_normalized(features), pids, camids)


def run(
    work: Work,
    program: Program,
    query: FeatureSet,
    gallery: FeatureSet,
    both: np.ndarray,
    *,
    whole: bool = True,
) -> np.ndarray:
    """The work's result: features (N, D), distances (nq, ng), or mAP, mINP and CMC to rank 50 in one row.

    both: query's and gallery's features (N, D) in one. whole: all of our re-ranked distances, not the last block
    only.
    """
    from reid import centralize, metrics, published, rerank

    if work == "NFC":
        return published.nfc(both) if program == "published" else centralize.nfc(both, engine="torch")[0]
    if work == "re-ranking":
        if program == "published":
            return published.k_reciprocal(query.features, gallery.features, k1=50, k2=15)
        if whole:
            return rerank.k_reciprocal(query.features, gallery.features, k1=50, k2=15)
        blocks = rerank.k_reciprocal_blocks(query.features, gallery.features, k1=50, k2=15)
        return deque(blocks, maxlen=1)[0]
    if program == "published":
        table = published.distances(query.features, gallery.features)
        labels = (query.pids, query.camids, gallery.pids, gallery.camids)
        precision, curve, penalty = published.evaluate(table, *labels)
    else:
        found = metrics.evaluate(query, gallery, normalize=False)
        precision, curve, penalty = found.mean_average_precision, found.cmc(), found.mean_inverse_penalty
    return np.array([precision, penalty, *curve])


def _compared(
    work: Work,
    programs: tuple[Program, ...],
    samples: int,
    dimensions: int,
    rounds: int,
    started: Callable[[str], None],
) -> SideBySide:
    takes: dict[Program, list[Measured]] = {program: [] for program in programs}
    with tempfile.TemporaryDirectory() as folder:
        files = {program: Path(folder) / f"{program}.npy" for program in programs if len(programs) > 1}
        for _ in range(rounds):
            for program in programs:
                started(f"{work} of {samples}, {program}")
                takes[program].append(
                    _alone(_measure, work, program, samples, dimensions, files.get(program))
                )
        difference = _largest_difference(*files.values()) if files else None
    middle = {program: _middle(taken) for program, taken in takes.items()}
    return SideBySide(work, samples, _cut(samples), middle["ours"], middle.get("published"), difference)


def _middle(taken: list[Measured]) -> Measured:
    return Measured(median(one.seconds for one in taken), int(median(one.extra for one in taken)))


def _largest_difference(one: Path, other: Path) -> float:
    a, b = np.load(one, mmap_mode="r"), np.load(other, mmap_mode="r")
    return float(max(np.abs(x - y).max() for x, y in zip(a, b, strict=True)))


def _measure(work: Work, program: Program, samples: int, dimensions: int, result: Path | None) -> Measured:
    run(work, program, *_made(_WARM_UP, dimensions))
    made = _made(samples, dimensions)
    clock = _Clock()
    found = run(work, program, *made, whole=result is not None)
    measured = clock.stop()
    if result is not None:
        np.save(result, found)
    return measured


def _measure_neighbors(samples: int, dimensions: int, memory: int) -> Neighbors:
    from reid import flat_index
    from reid.neighbors import blocked_search, nearest

    few = made_features(_WARM_UP, dimensions).features
    nearest(few, few, 2, exclude_self=True, engine="faiss")
    features = made_features(samples, dimensions).features
    clock = _Clock()
    _, near = nearest(features, features, 2, exclude_self=True, engine="faiss", memory=memory)
    measured = clock.stop()
    some = np.linspace(0, samples - 1, min(_CHECKED, samples)).astype(np.int64)
    _, again = blocked_search(
        features[some], features, near.shape[1], metric="euclidean", own=some, memory=memory
    )
    equal = float((near[some] == again).all(axis=1).mean())
    return Neighbors(samples, dimensions, flat_index.gpus(), measured, len(some), equal)


def _cut(samples: int) -> int:
    return round(samples * _QUERIES)


def _made(samples: int, dimensions: int) -> tuple[FeatureSet, FeatureSet, np.ndarray]:
    whole, cut = made_features(samples, dimensions), _cut(samples)
    query, gallery = (
        FeatureSet(whole.features[part], whole.pids[part], whole.camids[part])
        for part in (slice(cut), slice(cut, None))
    )
    return query, gallery, whole.features


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What ``function`` gives in a process that is new."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except (BrokenProcessPool, MemoryError):
            raise UserError(
                "a measurement's process died, most likely for lack of memory: ask for fewer samples"
            ) from None


class _Clock:
    """Seconds and the peak of this process's memory, from its making to ``stop``."""

    def __init__(self) -> None:
        self._held = _forget_peak()
        self._start = time.perf_counter()

    def stop(self) -> Measured:
        seconds = time.perf_counter() - self._start
        return Measured(seconds, max(0, _peak() - self._held))


def _forget_peak() -> int:
    """Bytes that this process holds, from which on its peak counts; where that cannot be had, its peak so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak() -> int:
    """The most bytes that this process held."""
    if Path("/proc/self/status").is_file():
        return _status("VmHWM")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))
