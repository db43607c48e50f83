"""What centralisation and re-ranking do to a search: the stages between features as they are and the last result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from reid.centralize import Centralized, Scope, centralize
from reid.features import FeatureSet
from reid.metrics import Retrieval, densities, evaluate
from reid.neighbors import MEMORY, distance_blocks
from reid.protocols import MARKET, Protocol
from reid.ranking import AveragePrecision
from reid.rerank import expand_queries, k_reciprocal_blocks

Sets = tuple[FeatureSet, FeatureSet]
"""Query and gallery."""


@dataclass(frozen=True)
class Options:
    """nfc, rerank: whether; k1, k2, scope, iterations: of NFC; rerank_k1, rerank_k2, rerank_lambda: of k-reciprocal
    re-ranking. expand: gallery neighbours that queries are averaged with, 0 for none. memory: bytes for blocks."""

    nfc: bool = True
    k1: int = 2
    k2: int = 2
    scope: Scope = "both"
    iterations: int = 1
    expand: int = 0
    rerank: bool = False
    rerank_k1: int = 20
    rerank_k2: int = 6
    rerank_lambda: float = 0.3
    ap: AveragePrecision = "mean"
    memory: int = MEMORY


@dataclass(frozen=True)
class Stage:
    """One way to search. density: ID² of what a trial asks and searches, the mean over trials; NaN where only
    distances were changed, or nobody is anybody."""

    name: str
    retrieval: Retrieval
    density: float

    @property
    def scores(self) -> dict[str, np.ndarray]:
        """Name -> (V,) values a query; their means, weighted by ``retrieval.weights``, are the scores."""
        found = self.retrieval
        return {
            "mAP": found.average_precision,
            **{f"Rank-{r}": found.found(r) for r in (1, 5, 10)},
            "mINP": found.inverse_penalty,
        }


@dataclass(frozen=True)
class Experiment:
    """stages: the features as they are first, all that was asked for last. first, last: query and gallery of the
    first trial, without junk, as they are and at the end. centralized: what NFC did in each trial."""

    stages: list[Stage]
    first: Sets
    last: Sets
    centralized: list[Centralized]
    options: Options

    @property
    def before(self) -> Stage:
        return self.stages[0]

    @property
    def after(self) -> Stage:
        return self.stages[-1]


def experiment(
    query: FeatureSet,
    gallery: FeatureSet,
    options: Options,
    *,
    protocol: Protocol = MARKET,
    fused: Sets | None = None,
    started: Callable[[str], None] = lambda stage: None,
) -> Experiment:
    """Scores every stage. fused: query and gallery with generated poses, on which the rest then builds.

    Centralising and re-ranking see what a trial of the protocol asks and searches, and nothing else. started:
    called with each stage's name. Raises FeatureError where nothing can be scored.
    """
    stages: list[Stage] = []
    made = _Made(options)

    def search(
        name: str, sets: Sets, change: Callable[[int, Sets], Sets] | None = None, rerank: bool = False
    ) -> Sets:
        started(name)
        run = _Run(options, change, rerank)
        found = evaluate(*sets, protocol=protocol, search=run, ap=options.ap)
        stages.append(Stage(name, found, float(np.mean(run.densities))))
        return run.first

    raw = search("as they are", (query, gallery))
    start, last = (query, gallery), raw
    if fused is not None:
        start = fused
        last = search(WITH_POSES, start)
    if options.nfc:
        if options.scope == "both":
            search("NFC on queries", start, made.queries)
            search("NFC on the gallery", start, made.gallery)
        last = search(_NAMES[options.scope], start, made.nfc)
    if options.expand:
        last = search(f"queries expanded by {options.expand}", start, made.expanded)
    if options.rerank:
        changed = bool(options.nfc or options.expand)
        so_far = stages[-1].name
        if changed:
            search("re-ranked alone", start, rerank=True)
        search(f"{so_far}, re-ranked" if changed else "re-ranked", start, made.expanded, rerank=True)
    return Experiment(stages, raw, last, made.centralized, options)


WITH_POSES = "with generated poses"

_NAMES: dict[Scope, str] = {
    "query": "NFC on queries",
    "gallery": "NFC on the gallery",
    "both": "NFC on both",
    "joint": "NFC on both together",
}


@dataclass
class _Made:
    """Features of each trial after NFC and expansion, made once. centralized: by trial."""

    options: Options
    centralized: list[Centralized] = field(default_factory=list)

    def _of(self, trial: int, sets: Sets) -> Centralized:
        o = self.options
        if trial == len(self.centralized):
            made = centralize(
                *sets, k1=o.k1, k2=o.k2, scope=o.scope, iterations=o.iterations, memory=o.memory
            )
            self.centralized.append(made)
        return self.centralized[trial]

    def queries(self, trial: int, sets: Sets) -> Sets:
        return self._of(trial, sets).query, sets[1]

    def gallery(self, trial: int, sets: Sets) -> Sets:
        return sets[0], self._of(trial, sets).gallery

    def nfc(self, trial: int, sets: Sets) -> Sets:
        made = self._of(trial, sets)
        return made.query, made.gallery

    def expanded(self, trial: int, sets: Sets) -> Sets:
        query, gallery = self.nfc(trial, sets) if self.options.nfc else sets
        if not self.options.expand:
            return query, gallery
        features = expand_queries(
            query.features, gallery.features, self.options.expand, memory=self.options.memory
        )
        return FeatureSet(features, query.pids, query.camids), gallery


class _Run:
    """A stage's way through the trials: called with each in turn."""

    def __init__(self, options: Options, change: Callable[[int, Sets], Sets] | None, rerank: bool) -> None:
        self.options, self.change, self.rerank = options, change, rerank
        self.densities: list[float] = []
        self._first: Sets | None = None

    @property
    def first(self) -> Sets:
        assert self._first is not None
        return self._first

    def __call__(self, query: FeatureSet, gallery: FeatureSet) -> Iterable[np.ndarray]:
        o, sets = self.options, (query, gallery)
        if self.change is not None:
            sets = self.change(len(self.densities), sets)
        self._first = self._first or sets
        self.densities.append(float("nan") if self.rerank else _density(*sets))
        features = sets[0].features, sets[1].features
        if self.rerank:
            return k_reciprocal_blocks(
                *features, k1=o.rerank_k1, k2=o.rerank_k2, lambda_value=o.rerank_lambda, memory=o.memory
            )
        return (block.numpy() for _, block in distance_blocks(*features, memory=o.memory))


def _density(query: FeatureSet, gallery: FeatureSet) -> float:
    found = densities(query, gallery)
    somebody = found[np.isfinite(found)]
    return float(somebody.mean()) if len(somebody) else float("nan")
