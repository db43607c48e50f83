"""Where blocks of samples run on a Ray cluster: actors that keep a sweep's models loaded, wherever there is a core.

Imported by ``engine`` alone, and where it is asked for. Nodes may come and go: an actor that is lost takes its block
with it, which is tried again whole, for its node's sake, and then sample by sample, for its own.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpq.errors import UserError, first_line

if TYPE_CHECKING:
    from mpq.engine import Block, Job, Rows

LOOK = 2.0
"""Seconds between looks at whether the cluster has grown."""


STARTS = 3
"""Workers in a row that may be lost before any is ready."""


class _Runner:
    """An actor: one core (or GPU) of the cluster."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def open(self) -> None:
        self.job.open(threads=1, scores=True)

    def run(self, block: Block) -> tuple[Rows, int]:
        """Its rows, and the number of its pieces."""
        score, rows, pieces = self.job.scorer(), [], 0
        for piece in self.job.code(block):
            rows += score(piece)
            pieces += 1
        return rows, pieces


@dataclass
class _Asked:
    """What an actor was asked: to open where there is no block. since: when."""

    actor: Any
    block: Block | None
    since: float


def run(
    job: Job,
    blocks: Sequence[Block],
    *,
    address: str,
    gpu: bool,
    limit: float,
    skip: Callable[[Block], bool],
    on_piece: Callable[[], None],
) -> Iterator[tuple[Block, Rows]]:
    """As ``engine.run``. address: the cluster's; "local" starts one on this machine. gpu: whether each actor has one.
    limit: seconds for a block. Raises UserError where there is no Ray, or no such cluster."""
    with _connected(address) as ray:
        yield from _Driver(ray, job, blocks, gpu, limit, skip, on_piece).results()


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import ray
    except ImportError:
        raise UserError(
            "--engine ray needs the package 'ray' (pip install 'machine-perceptual-quality[ray]')"
        ) from None
    mine = not ray.is_initialized()
    if mine:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=True)
        except Exception as error:  # its own, grpc's, the operating system's
            raise UserError(f"there is no Ray cluster at '{address}': {first_line(error)}") from None
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()


class _Driver:
    def __init__(
        self,
        ray: Any,
        job: Job,
        blocks: Sequence[Block],
        gpu: bool,
        limit: float,
        skip: Callable[[Block], bool],
        on_piece: Callable[[], None],
    ) -> None:
        self.ray, self.resource = ray, "GPU" if gpu else "CPU"
        self.make = ray.remote(num_cpus=1, num_gpus=int(gpu), max_restarts=0)(_Runner)
        self.job = ray.put(job)
        self.waiting: deque[Block] = deque(blocks)
        self.limit, self.skip, self.on_piece = limit, skip, on_piece
        self.asked: dict[Any, _Asked] = {}
        self.idle: list[Any] = []
        self.deaths: Counter[tuple[int, ...]] = Counter()
        self.opened, self.died_opening = 0, 0

    def results(self) -> Iterator[tuple[Block, Rows]]:
        try:
            yield from self._results()
        finally:
            for actor in (*self.idle, *(asked.actor for asked in self.asked.values())):
                self.ray.kill(actor)

    def _results(self) -> Iterator[tuple[Block, Rows]]:
        while True:
            self._grow()
            self._assign()
            if not self.waiting and not any(asked.block for asked in self.asked.values()):
                return
            done, _ = self.ray.wait(list(self.asked), timeout=LOOK)
            for answer in done:
                yield from self._heard(answer)
            now = time.monotonic()
            for answer, asked in list(self.asked.items()):
                if asked.block is not None and now - asked.since > self.limit:
                    del self.asked[answer]
                    self.ray.kill(asked.actor)
                    yield from self._lost(asked.block, f"a block took more than {self.limit:g} s")

    def _grow(self) -> None:
        """An actor for each core that has none. One that finds no place waits for it, without a block."""
        there = int(self.ray.cluster_resources().get(self.resource, 0))
        wanted = min(max(1, there), len(self.waiting) + sum(a.block is not None for a in self.asked.values()))
        for _ in range(wanted - len(self.asked) - len(self.idle)):
            actor = self.make.remote(self.job)
            self.asked[actor.open.remote()] = _Asked(actor, None, time.monotonic())

    def _assign(self) -> None:
        while self.idle and self.waiting:
            block = self.waiting.popleft()
            if not self.skip(block):
                actor = self.idle.pop()
                self.asked[actor.run.remote(block)] = _Asked(actor, block, time.monotonic())

    def _heard(self, answer: Any) -> Iterator[tuple[Block, Rows]]:
        from ray.exceptions import RayError, RayTaskError

        asked = self.asked.pop(answer)
        try:
            found = self.ray.get(answer)
        except RayTaskError as error:
            raise error.cause if isinstance(error.cause, UserError) else RuntimeError(str(error)) from None
        except RayError as error:  # the actor, its node, or what it answered is gone
            if asked.block is not None:
                yield from self._lost(asked.block, f"the worker was lost ({type(error).__name__})")
                return
            self.died_opening += 1
            if self.died_opening >= STARTS and not self.opened:  # not the samples' fault
                raise UserError(
                    f"{STARTS} workers on the cluster were lost while they were starting: {first_line(error)}"
                ) from None
            return
        self.idle.append(asked.actor)
        if asked.block is None:
            self.opened += 1
        else:
            rows, pieces = found
            for _ in range(pieces):
                self.on_piece()
            yield asked.block, rows

    def _lost(self, block: Block, reason: str) -> Iterator[tuple[Block, Rows]]:
        self.deaths[tuple(block)] += 1
        if self.deaths[tuple(block)] == 1:
            self.waiting.appendleft(block)
        elif len(block) > 1:
            self.waiting.extendleft([index] for index in reversed(block))
        else:
            job: Job = self.ray.get(self.job)
            yield block, job.lost(block, reason)
