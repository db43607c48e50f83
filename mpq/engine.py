"""Where blocks of samples run: in this process, in a pool of processes beside a model on a GPU, or elsewhere, by shares.

On a CPU each worker does a block's whole way, coding and inference, on one thread: no core waits for
another, nothing large crosses a process boundary, and the result does not depend on the number of workers.
With a GPU the workers code and preprocess, and this process scores. A worker that dies, or hangs and is ended, takes
only its block with it: the block is tried again sample by sample, and the sample that kills becomes a row with an error.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from mpq.errors import UserError

PATIENCE = 3600.0
"""Seconds for a piece, a block at one setting, after which a worker is taken for hung."""

Rows = list[dict[str, Any]]
Block = Sequence[int]
"""Indices of the samples that go together."""


class Job(Protocol):
    """What a block goes through. Pickled once into each worker."""

    def open(self, threads: int, *, scores: bool) -> None:
        """Loads what the job needs, in the process where it will run; ``scores``: whether blocks are scored there."""

    def code(self, block: Block) -> Iterator[Any]:
        """The samples' way through the codecs: pieces that ``score`` takes, in order."""

    def scorer(self) -> Callable[[Any], Rows]:
        """A block's scorer: called with each of its pieces in order, returns rows."""

    def lost(self, block: Block, reason: str) -> Rows:
        """Rows for samples whose worker died."""


@dataclass(frozen=True)
class Shard:
    """A share of all blocks, ``number`` of ``count`` (from 1): every count-th, so that slow ones are spread.

    Which blocks are whose depends on nothing else: machines need not know of each other.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``2/8``. Raises UserError."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
        shard = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.count:
            raise UserError(f"--shard is a number of a count, such as 2/8, not '{text}'")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, blocks: Sequence[Block]) -> list[Block]:
        """Its blocks among all there are."""
        return list(blocks[self.number - 1 :: self.count])


WHOLE = Shard(1, 1)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    job: Job,
    blocks: Sequence[Block],
    *,
    workers: int,
    score_here: bool = False,
    skip: Callable[[Block], bool] = lambda block: False,
    on_piece: Callable[[], None] = lambda: None,
    patience: float = PATIENCE,
    pieces: int = 1,
    cluster: str = "",
) -> Iterator[tuple[Block, Rows]]:
    """Yields each block with its rows as it is finished.

    workers: 1 means this process, where a crash in native code is fatal. score_here: coding in the workers,
    scoring in this process (for a GPU). skip: asked when a block's turn comes, whether somebody else has done it.
    on_piece: called after each piece. patience: seconds that a worker may take for a piece; this process waits for itself
    for ever. pieces: of a block. cluster: the address of a Ray cluster ("local" starts one), whose cores then all work, on one
    whole way each, or whose GPUs do where ``score_here`` says that there are some.
    """
    if cluster:
        from mpq import ray_cluster

        limit = patience * pieces
        yield from ray_cluster.run(
            job, blocks, address=cluster, gpu=score_here, limit=limit, skip=skip, on_piece=on_piece
        )
        return
    if workers == 1 and not score_here:
        yield from _run_here(job, (block for block in blocks if not skip(block)), on_piece)
    elif blocks:
        yield from _Pool(
            job, blocks, min(workers, len(blocks)), score_here, skip, on_piece, patience
        ).results()


def _run_here(
    job: Job, blocks: Iterable[Block], on_piece: Callable[[], None]
) -> Iterator[tuple[Block, Rows]]:
    job.open(threads=1, scores=True)
    for block in blocks:
        rows: Rows = []
        score = job.scorer()
        for piece in job.code(block):
            rows += score(piece)
            on_piece()
        yield block, rows


def warm_up(modules: list[str]) -> None:
    """Starts importing the workers' heavy modules in the background, once for all of them."""
    context = _context()
    if context.get_start_method() == "forkserver":
        from multiprocessing import forkserver

        context.set_forkserver_preload(modules)
        forkserver.ensure_running()


def _context() -> Any:
    # A plain fork would copy this process's threads' locks; forkserver forks a clean process.
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


class _Worker:
    def __init__(self, job: Job, score_here: bool) -> None:
        context = _context()
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_serve, args=(theirs, job, score_here), daemon=True
        )
        self.process.start()
        theirs.close()
        self.ready = False
        self.since = time.monotonic()  # its last sign
        self.block: Block | None = None
        self.rows: Rows = []
        self.score: Callable[[Any], Rows] | None = None

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


class _Pool:
    def __init__(
        self,
        job: Job,
        blocks: Sequence[Block],
        workers: int,
        score_here: bool,
        skip: Callable[[Block], bool],
        on_piece: Callable[[], None],
        patience: float,
    ) -> None:
        self.job = job
        self.waiting = deque(blocks)
        self.count = max(1, workers)
        self.score_here = score_here
        self.skip = skip
        self.on_piece = on_piece
        self.patience = patience
        if score_here:
            job.open(threads=cores(), scores=True)

    def results(self) -> Iterator[tuple[Block, Rows]]:
        workers = [_Worker(self.job, self.score_here) for _ in range(self.count)]
        try:
            for worker in workers:
                self._assign(worker)
            while any(worker.block is not None for worker in workers):
                busy = {worker.connection: worker for worker in workers if worker.block is not None}
                heard = wait(list(busy), timeout=self._until_the_next_is_late(busy.values()))
                for worker in busy.values():
                    if worker.connection not in heard and self._is_late(worker):
                        worker.process.kill()
                        yield from self._bury(worker, workers, f"a piece took more than {self.patience:g} s")
                for connection in heard:
                    worker = busy[connection]
                    worker.since = time.monotonic()
                    try:
                        kind, content = worker.connection.recv()
                    except (EOFError, OSError):  # dead, perhaps in the middle of a message
                        yield from self._bury(worker, workers)
                        continue
                    if kind == "failed":
                        raise content if isinstance(content, UserError) else RuntimeError(content)
                    if kind == "ready":
                        worker.ready = True
                    elif kind == "piece":
                        if self.score_here:
                            assert worker.score is not None
                            worker.rows += worker.score(content)
                        self.on_piece()
                    else:
                        assert worker.block is not None
                        finished = worker.block, worker.rows if self.score_here else content
                        self._assign(worker)
                        yield finished
        finally:
            for worker in workers:
                worker.stop()

    def _is_late(self, worker: _Worker) -> bool:
        # While it starts it may be waiting for the network.
        return worker.ready and time.monotonic() - worker.since > self.patience

    def _until_the_next_is_late(self, workers: Iterable[_Worker]) -> float:
        now = time.monotonic()
        left = [self.patience - (now - worker.since) for worker in workers if worker.ready]
        return max(0.0, min(left, default=self.patience)) + 0.1

    def _next(self) -> Block | None:
        return self.waiting.popleft() if self.waiting else None

    def _assign(self, worker: _Worker) -> None:
        worker.block = next((b for b in iter(self._next, None) if not self.skip(b)), None)
        worker.rows, worker.since = [], time.monotonic()
        if worker.block is None:
            return
        if self.score_here:
            worker.score = self.job.scorer()
        with contextlib.suppress(OSError):  # it may be dead already: the next receive says so
            worker.connection.send(worker.block)

    def _bury(self, worker: _Worker, workers: list[_Worker], late: str = "") -> Iterator[tuple[Block, Rows]]:
        worker.process.join()
        code, block = worker.process.exitcode or 0, worker.block
        assert block is not None
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        if not worker.ready:  # not the samples' fault, and every other worker would do the same
            raise UserError(
                f"a worker process died while it was starting ({reason}); fewer --workers need less memory"
            )
        worker.connection.close()
        workers[workers.index(worker)] = replacement = _Worker(self.job, self.score_here)
        if len(block) > 1:
            self.waiting.extendleft([index] for index in reversed(block))
            self._assign(replacement)
        else:
            self._assign(replacement)
            yield block, self.job.lost(block, late or f"the worker process died ({reason})")


def _serve(connection: Connection, job: Job, score_there: bool) -> None:
    """A worker's life: blocks in, pieces (or ticks) and rows out, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    try:
        job.open(threads=1, scores=not score_there)
        connection.send(("ready", None))
        while True:
            block = connection.recv()
            score = None if score_there else job.scorer()
            rows: Rows = []
            for piece in job.code(block):
                if score is not None:
                    rows += score(piece)
                connection.send(("piece", piece if score is None else None))
            connection.send(("rows", rows))
    except (EOFError, ConnectionError):
        return
    except UserError as error:
        connection.send(("failed", error))
    except Exception:
        connection.send(("failed", traceback.format_exc()))
