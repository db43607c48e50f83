"""Sweeps: a plan becomes cells, cells become rows."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mpq import engine
from mpq.block import BlockJob, Slot
from mpq.codecs.base import Asked, Codec, ready_codecs
from mpq.codecs.none import NoCodec
from mpq.datasets.base import Dataset
from mpq.models.base import CPU_BATCH
from mpq.paths import user_path
from mpq.plan import Plan
from mpq.registry import tasks as registry
from mpq.rows import ROWS_VERSION, schema
from mpq.store import Cell, Store
from mpq.tasks.base import Task

Targets = dict[str, list[dict[str, Any]]]
"""Model spec -> for each source the row fields that say what is right."""


@dataclass
class Sweep:
    """A plan made ready: its data read, its models loaded, its cells known. Raises UserError on the way there.

    notes: what the user should know. lacking: why some of the plan's codecs are not among ``codecs``.
    """

    plan: Plan
    task: Task
    dataset: Dataset
    codecs: list[Codec]
    models: list[Any]
    targets: Targets
    notes: list[str]
    lacking: list[str]
    device: str = "cpu"

    @classmethod
    def prepare(cls, plan: Plan, device: str = "cpu") -> Sweep:
        weights = {spec: user_path(path) for spec, path in plan.weights.items()}
        task = registry.get(plan.task)()
        asked = ready_codecs(
            plan.codec, {s: f for s, f in weights.items() if s in plan.codec}, kind=task.samples
        )
        dataset = task.read(plan)
        models = [task.load(spec, weights.get(spec)) for spec in dict.fromkeys(plan.model)]
        dataset, notes = task.fit(dataset, models)
        dataset = dataset.subset(plan.limit, plan.seed)
        targets = {model.name: task.targets(dataset, model) for model in models}
        return cls(
            plan, task, dataset, _distinct(asked), models, targets, asked.notes + notes, asked.lacking, device
        )

    @cached_property
    def cells(self) -> dict[Slot, Cell]:
        """Every cell of the plan, the baseline's first."""
        found: dict[Slot, Cell] = {}
        # What decodes the sources, runs the networks and measures similarity, beside codecs and models.
        medium = self.task.medium
        measures = [medium.similarities[name] for name in self.plan.similarity or ()]
        packages = [*medium.packages, "torch", *(package for m in measures for package in m.packages)]
        task = self.task.identity(self.dataset)
        made_with = {name: version(name) for name in sorted(set(packages))} | {
            "device": self.device,
            "batch": CPU_BATCH,
        }
        for c, codec in enumerate(self.codecs):
            for m, model in enumerate(self.models):
                cell = Cell(
                    {
                        "rows": ROWS_VERSION,
                        "task": task,
                        "dataset": {"name": self.dataset.name, "content": self.dataset.fingerprint},
                        "codec": codec.identity,
                        "model": model.identity,
                        "targets": self._targets_digest(model),
                        "similarity": sorted(self.plan.similarity or ()),
                        "made_with": made_with,
                    }
                )
                found[Slot(cell.hash, c, m)] = cell
        return found

    def _targets_digest(self, model: Any) -> str:
        return hashlib.sha256(json.dumps(self.targets[model.name]).encode()).hexdigest()

    @property
    def hashes(self) -> set[str]:
        return {slot.cell for slot in self.cells}

    @property
    def described(self) -> dict[str, Any]:
        """For the run's folder: the plan, and what its words turned out to mean."""
        return {
            **asdict(self.plan),
            "dataset": {
                "name": self.dataset.name,
                "samples": len(self.dataset.sources),
                "content_sha256": self.dataset.fingerprint,
                "problems": list(self.dataset.problems),
            },
            "settings": [codec.identity for codec in self.codecs],
            "models": [model.identity for model in self.models],
        }

    def failed(self, store: Store) -> set[str]:
        """Finished cells of this plan with more failures than it allows."""
        failed = set()
        for cell in self.hashes & store.finished().keys():
            ((_, table),) = store.read({cell})
            errors = [e for e in table.column("error").to_pylist() if e]
            own = sum(not e.startswith("source:") for e in errors)
            if own > self.plan.max_failures * (table.num_rows - len(errors) + own):
                failed.add(cell)
        return failed

    def unreadable(self, store: Store) -> list[str]:
        """A sentence for each source that could not be read, from the baseline's rows."""
        baseline = {slot.cell for slot in self.cells if isinstance(self.codecs[slot.codec], NoCodec)}
        errors: dict[str, str] = {}
        for _, table in store.read(baseline):
            for sample, error in zip(
                table.column("sample").to_pylist(), table.column("error").to_pylist(), strict=True
            ):
                if error and error.startswith("source: "):
                    errors[sample] = error.removeprefix("source: ")
        return [f"{sample}: {error}" for sample, error in errors.items()]

    def missing(self, store: Store) -> dict[int, list[Slot]]:
        """Sample index -> the cells that hold no row for it yet."""
        finished, present = store.finished(), store.present()
        waiting = [slot for slot in self.cells if slot.cell not in finished]
        lacking = {
            i: [s for s in waiting if source.id not in present.get(s.cell, ())]
            for i, source in enumerate(self.dataset.sources)
        }
        return {i: slots for i, slots in lacking.items() if slots}

    @property
    def block_size(self) -> int:
        """Samples that go together: fixed by the data set's size alone, so that no result depends on the workers."""
        least, most = self.task.block
        return min(most, max(least, -(-len(self.dataset.sources) // 32)))

    @property
    def blocks(self) -> list[engine.Block]:
        """All of the data set, in its order."""
        count, size = len(self.dataset.sources), self.block_size
        return [list(range(start, min(start + size, count))) for start in range(0, count, size)]

    def job(self, missing: dict[int, list[Slot]]) -> BlockJob:
        """missing: sample index -> the cells that want a row for it."""
        return BlockJob(
            self.task,
            self.dataset,
            self.codecs,
            [(model.name, self._weights(model)) for model in self.models],
            [model.weights_sha256 for model in self.models],
            [self.targets[model.name] for model in self.models],
            self.plan.similarity or (),
            missing,
            self.device,
            self.models,
        )

    def run(
        self,
        store: Store,
        *,
        workers: int | None = None,
        shard: engine.Shard = engine.WHOLE,
        patience: float = engine.PATIENCE,
        cluster: str = "",
        started: Callable[[int, int], None] = lambda total, done: None,
        advanced: Callable[[int], None] = lambda pieces: None,
    ) -> None:
        """Fills what is missing in ``store``, as far as it is the shard's; gathers the cells that are then whole.

        cluster: as in ``engine.run``. patience: seconds for a block at one setting, then for a sample of it alone; a sample that takes longer has an error.

        started: called with the number of pieces (a block at a setting) in all and already done; advanced:
        with each that is done.
        """
        missing = self.missing(store)
        share = shard.of(self.blocks)
        blocks = [block for block in share if any(i in missing for i in block)]
        job = self.job(missing)
        every = len(share) * len(self.codecs)
        pieces = sum(len({s.codec for s in job.slots(block)} | {0}) for block in blocks)
        started(every, every - pieces)
        # In an order of its own, so that several processes on one folder meet late; what another has done by
        # the time that a block's turn comes is not done again.
        random.Random(f"{os.getpid()} {time.time_ns()}").shuffle(blocks)
        fields = schema(self.task.row_fields)
        names = {tuple(block): self._part(job, block) for block in blocks}
        results = engine.run(
            job,
            blocks,
            skip=lambda block: store.has_part(names[tuple(block)]) if tuple(block) in names else False,
            workers=workers or engine.cores(),
            score_here=self.device != "cpu",
            on_piece=lambda: advanced(1),
            patience=patience,
            pieces=len(self.codecs),
            cluster=cluster,
        )
        for block, rows in results:
            store.write_part(self._part(job, block), rows, fields)
        store.finish(
            {slot.cell: cell for slot, cell in self.cells.items()},
            {s.cell: f"{self.codecs[s.codec].spec}~{self.models[s.model].name}" for s in self.cells},
            [source.id for source in self.dataset.sources],
        )

    def _part(self, job: BlockJob, block: engine.Block) -> str:
        """Equal work has an equal name, whoever does it and when."""
        cells = sorted({slot.cell for slot in job.slots(block)})
        return hashlib.sha256(json.dumps([cells, list(block)]).encode()).hexdigest()[:24]

    def _weights(self, model: Any) -> Path | None:
        path = self.plan.weights.get(model.name)
        return user_path(path) if path else None


def _distinct(asked: Asked) -> list[Codec]:
    """The plan's settings, the baseline first, none twice."""
    found: dict[str, Codec] = {}
    for codec in [NoCodec(), *asked.codecs]:
        found.setdefault(json.dumps(codec.identity, sort_keys=True), codec)
    return list(found.values())
