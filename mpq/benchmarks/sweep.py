"""How fast a sweep is beside what it cannot do without, measured side by side in one run."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mpq import engine
from mpq.datasets.base import Dataset
from mpq.models.base import load_model
from mpq.models.classification.base import Classifier
from mpq.plan import Plan
from mpq.samples import read_image
from mpq.store import Store
from mpq.sweep import Sweep

if TYPE_CHECKING:
    import torch

READY = 16
"""Pictures whose tensors are made ready for the models alone."""

BATCHES = (4, 8, 32)
"""Batches that the models alone are tried with where torch has its own threads: the best counts."""

LOOP_SAMPLES = 12
"""Pictures that the plain loop goes through in each round."""


@dataclass(frozen=True)
class Bench:
    """Answers a second; each the median of the rounds, which take turns.

    loop: the plain loop. models_threads: the models alone in one process with torch's own threads, at the
    best of BATCHES. models_processes: the models alone in as many one-thread processes as the
    sweep has.
    """

    described: str
    sweep: float
    loop: float
    models_threads: float
    models_processes: float

    @property
    def rates(self) -> dict[str, float]:
        return {
            "this sweep": self.sweep,
            "plain loop": self.loop,
            "models alone, torch's threads": self.models_threads,
            "models alone, one-thread processes": self.models_processes,
        }


def bench(
    data: str, models: tuple[str, ...], codec: str, samples: int, workers: int | None, rounds: int = 3
) -> Bench:
    """Times the sweep, the plain loop and the models alone in turn. Raises UserError."""
    made = Sweep.prepare(Plan(data=data, model=models, codec=(codec,), similarity=()))
    made = repeated(made, samples)
    count = min(workers or engine.cores(), len(made.blocks))
    tensors = _ready(made.models, made.dataset)
    takes: dict[str, list[float]] = {"sweep": [], "loop": [], "threads": [], "processes": []}
    for _ in range(rounds):
        takes["sweep"].append(_sweep_rate(made, count))
        takes["loop"].append(_loop_rate(made))
        takes["threads"].append(max(_threads_rate(made.models, tensors, batch) for batch in BATCHES))
        takes["processes"].append(_processes_rate(made, count))
    rate = {name: median(values) for name, values in takes.items()}
    described = (
        f"{samples} samples of {made.dataset.name}, {len(made.codecs) - 1} settings "
        f"({', '.join(codec.spec for codec in made.codecs[1:])}) and the baseline, "
        f"{len(models)} models, {count} processes, median of {rounds} rounds"
    )
    return Bench(described, rate["sweep"], rate["loop"], rate["threads"], rate["processes"])


def repeated(made: Sweep, samples: int) -> Sweep:
    """The same sweep over so many samples, each under a name of its own."""
    sources = _cycled(list(made.dataset.sources), samples)
    named = tuple(replace(source, id=f"{i:06d}/{source.id}") for i, source in enumerate(sources))
    targets = {name: _cycled(own, samples) for name, own in made.targets.items()}
    return replace(made, dataset=replace(made.dataset, sources=named), targets=targets)


def _cycled(values: list[Any], count: int) -> list[Any]:
    return [values[i % len(values)] for i in range(count)]


def _ready(models: list[Classifier], dataset: Dataset) -> list[torch.Tensor]:
    import torch

    images = [read_image(source.read()).image for source in _cycled(list(dataset.sources), READY)]
    return [torch.stack([model.preprocess(image) for image in images]) for model in models]


class _Clock:
    """A steady rate: from the n-th delivery of n workers on, so that starting up is left out."""

    def __init__(self, workers: int) -> None:
        self.stamps: list[float] = []
        self.skip = workers - 1

    def __call__(self) -> None:
        self.stamps.append(time.perf_counter())

    def rate(self, answers: float) -> float:
        """answers: a piece gives."""
        counted = self.stamps[self.skip :]
        return answers * (len(counted) - 1) / (counted[-1] - counted[0])


def _sweep_rate(made: Sweep, workers: int) -> float:
    clock = _Clock(workers)
    with tempfile.TemporaryDirectory() as folder:
        made.run(Store(Path(folder)), workers=workers, advanced=lambda pieces: clock())
    return clock.rate(made.block_size * len(made.models))


def _loop_rate(made: Sweep) -> float:
    """What the published notebooks do, one model and setting after the other: read, encode, decode, ask one by one."""
    import torch

    torch.set_num_threads(engine.cores())
    sources = made.dataset.sources[:LOOP_SAMPLES]
    start = time.perf_counter()
    for model, codec in itertools.product(made.models, made.codecs):
        for source in sources:
            decoded = codec.decode(codec.encode(read_image(source.read())).data)
            _ask(model, model.preprocess(decoded.image)[None])
    return len(sources) * len(made.codecs) * len(made.models) / (time.perf_counter() - start)


def _ask(model: Classifier, batch: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.inference_mode():
        return model.network(batch)


def _threads_rate(models: list[Classifier], tensors: list[torch.Tensor], batch: int) -> float:
    import torch

    torch.set_num_threads(engine.cores())
    repeated = [torch.cat([ready] * (2 * max(batch, READY) // READY)) for ready in tensors]
    start = time.perf_counter()
    for model, ready in zip(models, repeated, strict=True):
        for part in ready.split(batch):
            _ask(model, part.to(memory_format=torch.channels_last))
    return sum(len(ready) for ready in repeated) / (time.perf_counter() - start)


@dataclass
class _ModelsAlone:
    """The engine's job without codecs and preprocessing: the same processes on tensors that are ready."""

    models: list[tuple[str, Path | None]]
    dataset: Dataset
    _loaded: list[Classifier] = field(default_factory=list)
    _tensors: list[torch.Tensor] = field(default_factory=list)

    def open(self, threads: int, *, scores: bool) -> None:
        import torch

        torch.set_num_threads(threads)
        self._loaded = [
            load_model("classification", spec, weights).on("cpu") for spec, weights in self.models
        ]
        self._tensors = _ready(self._loaded, self.dataset)

    def code(self, block: engine.Block) -> Iterator[None]:
        yield None

    def scorer(self) -> Callable[[Any], engine.Rows]:
        def score(piece: None) -> engine.Rows:
            for model, ready in zip(self._loaded, self._tensors, strict=True):
                model.logits(ready)
            return []

        return score

    def lost(self, block: engine.Block, reason: str) -> engine.Rows:
        raise RuntimeError(reason)


def _processes_rate(made: Sweep, workers: int) -> float:
    clock = _Clock(workers)
    job = _ModelsAlone([(model.name, None) for model in made.models], made.dataset)
    for _ in engine.run(job, [[i] for i in range(8 * workers)], workers=workers, on_piece=clock):
        pass
    return clock.rate(READY * len(made.models))
