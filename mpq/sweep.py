"""Sweeps: a plan becomes cells, cells become rows.

A block of samples goes through all codecs and models at once: a source is decoded once, coded once for each
setting, and every model answers on that one decode.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq import engine
from mpq.codecs.base import Codec, CodecError, Transmission, parse_codec
from mpq.codecs.none import NoCodec
from mpq.datasets.base import Dataset, read_dataset
from mpq.errors import UserError
from mpq.metrics.classification import kl_divergence, log_softmax, top_classes
from mpq.metrics.similarity import SIMILARITIES
from mpq.models.base import Classifier, load_classifier
from mpq.models.labels import LabelSpace
from mpq.plan import Plan
from mpq.rows import ROWS_VERSION
from mpq.samples import ImageSample, SampleError, read_image
from mpq.store import Cell, Store

if TYPE_CHECKING:
    import torch
    from PIL import Image

Labels = dict[str, list[int | None]]
"""Model spec -> each source's label as an index among that model's classes."""


@dataclass(frozen=True)
class Task:
    """One cell to fill: its hash, and its places among the codecs and models."""

    cell: str
    codec: int
    model: int


@dataclass
class Inputs:
    """What one model is asked. positions: of the samples in the block. batch: (positions, 3, h, w) float32.

    errors: position -> why this model cannot be asked about that sample.
    """

    positions: list[int]
    batch: torch.Tensor | None
    errors: dict[int, str]


@dataclass
class Piece:
    """A block's samples after one codec setting: what a scorer needs, and nothing that is heavy to send.

    rows: one a sample, without the models' part. inputs: for each model that a cell of this setting needs.
    """

    codec: int
    block: engine.Block
    rows: list[dict[str, Any]]
    inputs: dict[int, Inputs]


@dataclass
class SweepJob:
    """The engine's job: everything here is small and pickled into each worker, which loads the models itself."""

    sources: Dataset
    codecs: list[Codec]
    models: list[tuple[str, Path | None]]
    weights: list[str]
    labels: list[list[int | None]]
    similarity: tuple[str, ...]
    missing: dict[int, list[Task]]
    device: str = "cpu"
    _loaded: list[Classifier] = field(default_factory=list)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": []}

    def open(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        if not self._loaded:
            self._loaded = [load_classifier(spec, weights) for spec, weights in self.models]
        device = self.device if threads > 1 else "cpu"
        self._loaded = [model.on(device) for model in self._loaded]

    def code(self, block: engine.Block) -> Iterator[Piece]:
        tasks = self._tasks(block)
        wanted = {task.codec for task in tasks}
        models = {task.model for task in tasks}
        originals = [_read(self.sources.sources[i].read) for i in block]
        for c, codec in enumerate(self.codecs):
            # The baseline is always coded: its answers are what fidelity is measured against.
            if c in wanted or isinstance(codec, NoCodec):
                needed = models if isinstance(codec, NoCodec) else {t.model for t in tasks if t.codec == c}
                yield self._piece(c, block, originals, needed)

    def _tasks(self, block: engine.Block) -> list[Task]:
        return list(dict.fromkeys(task for i in block for task in self.missing.get(i, [])))

    def _piece(
        self, c: int, block: engine.Block, originals: list[ImageSample | str], models: set[int]
    ) -> Piece:
        codec = self.codecs[c]
        rows: list[dict[str, Any]] = []
        decoded: dict[int, Image.Image] = {}
        for position, (i, original) in enumerate(zip(block, originals, strict=True)):
            row: dict[str, Any] = {
                "sample": self.sources.sources[i].id,
                "dataset": self.sources.name,
                "codec": codec.name,
                "setting": codec.setting,
            }
            rows.append(row)
            if isinstance(original, str):
                row["error"] = f"source: {original}"
                continue
            row |= {"width": original.width, "height": original.height}
            try:
                sent = codec.transmit(original)
            except CodecError as error:
                row["error"] = f"codec: {error}"
                continue
            except Exception as error:  # somebody's codec: its bug costs this sample, not the sweep
                row["error"] = f"codec: {type(error).__name__}: {error}"
                continue
            row |= self._measured(original, sent)
            decoded[position] = sent.decoded.image
        return Piece(c, block, rows, {m: _inputs(self._loaded[m], decoded) for m in sorted(models)})

    def _measured(self, original: ImageSample, sent: Transmission) -> dict[str, Any]:
        measures = (SIMILARITIES[name] for name in self.similarity)
        return {
            "bits": sent.bitstream.bits,
            "payload_bits": sent.bitstream.payload_bits,
            "encode_ms": sent.encode_ms,
            "decode_ms": sent.decode_ms,
            "decoded_from": sent.decoded_from,
            **{s.column: s.measure(original.pixels, sent.decoded.pixels) for s in measures},
        }

    def scorer(self) -> Callable[[Piece], engine.Rows]:
        reference: dict[
            tuple[int, int], np.ndarray
        ] = {}  # (model, sample) -> log-probabilities on the original

        def score(piece: Piece) -> engine.Rows:
            rows: engine.Rows = []
            baseline = isinstance(self.codecs[piece.codec], NoCodec)
            for m, inputs in piece.inputs.items():
                answers: dict[int, np.ndarray] = {}
                if inputs.batch is not None:
                    logits = self._loaded[m].logits(inputs.batch).numpy()
                    answers = dict(zip(inputs.positions, logits, strict=True))
                if baseline:
                    for p, answer in answers.items():
                        reference[m, piece.block[p]] = log_softmax(answer)
                for position, i in enumerate(piece.block):
                    cell = next(
                        (t.cell for t in self.missing.get(i, []) if t.codec == piece.codec and t.model == m),
                        None,
                    )
                    if cell is None:
                        continue
                    row = {**piece.rows[position], "cell": cell, "model": self.models[m][0]}
                    row |= {"weights_sha256": self.weights[m], "label": self.labels[m][i]}
                    if position in inputs.errors:
                        row["error"] = f"model: {inputs.errors[position]}"
                    elif position in answers and (m, i) not in reference:
                        row["error"] = "model: no answer on the original"
                    elif position in answers:
                        row |= _answer(answers[position], self.labels[m][i], reference[m, i])
                    rows.append(row)
            return rows

        return score

    def lost(self, block: engine.Block, reason: str) -> engine.Rows:
        return [
            {
                "cell": task.cell,
                "sample": self.sources.sources[i].id,
                "dataset": self.sources.name,
                "codec": self.codecs[task.codec].name,
                "setting": self.codecs[task.codec].setting,
                "model": self.models[task.model][0],
                "weights_sha256": self.weights[task.model],
                "label": self.labels[task.model][i],
                "error": f"worker: {reason}",
            }
            for i in block
            for task in self.missing.get(i, [])
        ]


def _read(read: Callable[[], bytes]) -> ImageSample | str:
    try:
        return read_image(read())
    except SampleError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _inputs(model: Classifier, images: dict[int, Image.Image]) -> Inputs:
    import torch

    ready: dict[int, torch.Tensor] = {}
    errors: dict[int, str] = {}
    for position, image in images.items():
        try:
            ready[position] = model.preprocess(image)
        except Exception as error:  # memory, say, where the shorter of very unequal sides is enlarged
            errors[position] = f"preprocessing {image.width} × {image.height} pixels: {type(error).__name__}"
    return Inputs(list(ready), torch.stack(list(ready.values())) if ready else None, errors)


def _answer(logits: np.ndarray, label: int | None, reference: np.ndarray) -> dict[str, Any]:
    log_q = log_softmax(logits)
    top = top_classes(logits)
    prediction = int(top[0])
    original = int(top_classes(reference, 1)[0])
    scored: dict[str, Any] = {}
    if label is not None:
        scored["top1"] = prediction == label
        scored["top5"] = bool(label in top) if len(logits) > len(top) else None
    return scored | {
        "prediction": prediction,
        "agreement": prediction == original,
        "kl": kl_divergence(reference, log_q),
        "top5_classes": top.tolist(),
        "top5_probabilities": np.exp(log_q[top]).tolist(),
    }


@dataclass
class Sweep:
    """A plan made ready: its data read, its models loaded, its cells known. Raises UserError on the way there."""

    plan: Plan
    dataset: Dataset
    codecs: list[Codec]
    models: list[Classifier]
    labels: Labels
    notes: list[str]

    @classmethod
    def prepare(cls, plan: Plan) -> Sweep:
        codecs = _codecs(plan.codec)
        dataset = read_dataset(plan.data, plan.labels)
        if plan.no_labels:
            dataset = dataset.without_labels()
        weights = {spec: Path(path).expanduser() for spec, path in plan.weights.items()}
        models = [load_classifier(spec, weights.get(spec)) for spec in dict.fromkeys(plan.model)]
        dataset, notes = _resolvable(dataset, models)
        dataset = dataset.subset(plan.limit, plan.seed)
        labels = {model.name: _resolve(dataset, model.labels) for model in models}
        return cls(plan, dataset, codecs, models, labels, notes)

    @cached_property
    def cells(self) -> dict[Task, Cell]:
        """Every cell of the plan, the baseline's first."""
        found: dict[Task, Cell] = {}
        for c, codec in enumerate(self.codecs):
            for m, model in enumerate(self.models):
                cell = Cell(
                    {
                        "rows": ROWS_VERSION,
                        "dataset": {"name": self.dataset.name, "content": self.dataset.fingerprint},
                        "codec": codec.identity,
                        "model": model.identity,
                        "labels": self._labels_digest(model),
                        "similarity": sorted(self.plan.similarity),
                    }
                )
                found[Task(cell.hash, c, m)] = cell
        return found

    def _labels_digest(self, model: Classifier) -> str:
        return hashlib.sha256(json.dumps(self.labels[model.name]).encode()).hexdigest()

    @property
    def hashes(self) -> set[str]:
        return {task.cell for task in self.cells}

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
            errors = [e for e in table.column("error").to_pylist() if e and not e.startswith("source:")]
            if len(errors) > self.plan.max_failures * table.num_rows:
                failed.add(cell)
        return failed

    def unreadable(self, store: Store) -> list[str]:
        """A sentence for each source that could not be read, from the baseline's rows."""
        baseline = {task.cell for task in self.cells if isinstance(self.codecs[task.codec], NoCodec)}
        errors: dict[str, str] = {}
        for _, table in store.read(baseline):
            for sample, error in zip(
                table.column("sample").to_pylist(), table.column("error").to_pylist(), strict=True
            ):
                if error and error.startswith("source: "):
                    errors[sample] = error.removeprefix("source: ")
        return [f"{sample}: {error}" for sample, error in errors.items()]

    def missing(self, store: Store) -> dict[int, list[Task]]:
        """Sample index -> the cells that hold no row for it yet."""
        finished, present = store.finished(), store.present()
        waiting = [task for task in self.cells if task.cell not in finished]
        lacking = {
            i: [t for t in waiting if source.id not in present.get(t.cell, ())]
            for i, source in enumerate(self.dataset.sources)
        }
        return {i: tasks for i, tasks in lacking.items() if tasks}

    @property
    def block_size(self) -> int:
        """Samples that go together: fixed by the data set's size alone, so that no result depends on the workers."""
        return min(16, max(4, -(-len(self.dataset.sources) // 32)))

    def blocks(self, missing: dict[int, list[Task]]) -> list[list[int]]:
        """The blocks that hold a sample with something missing."""
        count, size = len(self.dataset.sources), self.block_size
        whole = [list(range(start, min(start + size, count))) for start in range(0, count, size)]
        return [block for block in whole if any(i in missing for i in block)]

    def run(
        self,
        store: Store,
        *,
        workers: int | None = None,
        device: str = "cpu",
        started: Callable[[int, int], None] = lambda total, done: None,
        advanced: Callable[[int], None] = lambda pieces: None,
    ) -> None:
        """Fills what is missing in ``store``.

        started: called with the number of pieces (a block at a setting) in all and already done; advanced:
        with each that is done.
        """
        missing = self.missing(store)
        blocks = self.blocks(missing)
        job = SweepJob(
            self.dataset,
            self.codecs,
            [(model.name, self._weights(model)) for model in self.models],
            [model.weights_sha256 for model in self.models],
            [self.labels[model.name] for model in self.models],
            self.plan.similarity,
            missing,
            device,
            self.models,
        )
        every = len(self.blocks({i: [] for i in range(len(self.dataset.sources))})) * len(self.codecs)
        pieces = sum(len({t.codec for t in job._tasks(block)} | {0}) for block in blocks)
        started(every, every - pieces)
        results = engine.run(
            job,
            blocks,
            workers=workers or engine.cores(),
            score_here=device != "cpu",
            on_piece=lambda: advanced(1),
        )
        for block, rows in results:
            # Equal work has an equal name, whoever did it and when.
            name = hashlib.sha256(json.dumps([sorted({row["cell"] for row in rows}), list(block)]).encode())
            store.write_part(name.hexdigest()[:24], rows)
        store.finish(
            {task.cell: cell for task, cell in self.cells.items()},
            {t.cell: f"{self.codecs[t.codec].spec}~{self.models[t.model].name}" for t in self.cells},
            [source.id for source in self.dataset.sources],
        )

    def _weights(self, model: Classifier) -> Path | None:
        path = self.plan.weights.get(model.name)
        return Path(path).expanduser() if path else None


def _codecs(specs: tuple[str, ...]) -> list[Codec]:
    """The plan's settings, the baseline first, none twice."""
    found: dict[str, Codec] = {}
    for codec in [NoCodec(), *(codec for spec in specs for codec in parse_codec(spec))]:
        found.setdefault(json.dumps(codec.identity, sort_keys=True), codec)
    return list(found.values())


def _resolve(dataset: Dataset, space: LabelSpace) -> list[int | None]:
    """Each source's label as an index among a model's classes; None without a label, or without such a class."""
    unnamed = not any(space.names) and len(dataset.classes) == len(space)
    if unnamed and any(space.resolve(name) is None for name in dataset.classes):
        # A model whose classes have no names: unless the folders are numbered, their order is all there is.
        rank = {name: i for i, name in enumerate(dataset.classes)}
        return [rank[s.label] if s.label is not None else None for s in dataset.sources]
    return [space.resolve(s.label) if s.label is not None else None for s in dataset.sources]


def _resolvable(dataset: Dataset, models: list[Classifier]) -> tuple[Dataset, list[str]]:
    """Leaves out samples whose label is not a class of every model, and says so."""
    if not dataset.labelled:
        return dataset, []
    resolved = {model.name: _resolve(dataset, model.labels) for model in models}
    bad = {
        i: name
        for name, labels in resolved.items()
        for i, label in enumerate(labels)
        if label is None and dataset.sources[i].label is not None
    }
    example = next(((dataset.sources[i].label, name) for i, name in bad.items()), None)
    if example and dataset.classes:
        # Folders are labels only if all of them are: a trip to Rome and one to a castle are not.
        note = (
            f"the folders' names (such as '{example[0]}') are no classes of {example[1]}: labels are not used"
        )
        return dataset.without_labels(), [note]
    if example and len(bad) == sum(s.label is not None for s in dataset.sources):
        raise UserError(
            f"no label of '{dataset.name}' (such as '{example[0]}') is a class of {example[1]}; "
            "--no-labels measures fidelity without them"
        )
    problems = [
        f"{dataset.sources[i].id}: '{dataset.sources[i].label}' is not a class of {name}"
        for i, name in bad.items()
    ]
    kept = tuple(source for i, source in enumerate(dataset.sources) if i not in bad)
    return replace(dataset, sources=kept, problems=(*dataset.problems, *problems)), []
