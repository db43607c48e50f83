"""Re-identification: query and gallery are coded, and the search is made with what a backbone still sees.

Rows keep features, because the score is the whole set's: views search with them, as they are and centralised
(NFC, k1 = k2 = 2), where query and gallery were coded and where only the gallery, the archive, was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.datasets.base import Dataset, Source
from mpq.errors import UserError
from mpq.metrics.answers import cosine_distance
from mpq.paths import user_path
from mpq.rows import Field, column
from mpq.tasks.base import Cells, Score, Task, View
from reports.resampling import Ratio

if TYPE_CHECKING:
    import pyarrow as pa

    from mpq.plan import Plan
    from reid.backbones.base import Backbone
    from reid.features import FeatureSet
    from reid.metrics import Retrieval
    from reid.protocols import Protocol

K1 = K2 = 2
"""Neighbours that centralisation takes, as the paper does on Market-1501."""


@dataclass(frozen=True)
class CropSource(Source):
    """A crop of a person: pid and camid as the data set counts them, role "query" or "gallery"."""

    pid: int = 0
    camid: int = 0
    role: str = "gallery"


@dataclass(frozen=True)
class Crops(Dataset):
    """Queries, then the gallery without its junk. Trials of the protocol index into those two. remarks: on the set."""

    remarks: tuple[str, ...] = ()
    protocol: Protocol | None = None

    def subset(self, limit: int | None, seed: int) -> Crops:
        """All crops of people drawn until they are ``limit``: single crops would find no match."""
        if limit is None or limit >= len(self.sources):
            return self
        assert self.protocol is not None
        if self.protocol.trials:
            raise UserError(f"{self.name} has trials of its own, so it cannot be limited")
        crops = [source for source in self.sources if isinstance(source, CropSource)]
        sizes: dict[int, int] = {}
        for crop in crops:
            sizes[crop.pid] = sizes.get(crop.pid, 0) + 1
        asked = sorted({crop.pid for crop in crops if crop.role == "query"})
        drawn: set[int] = set()
        for i in np.random.default_rng(seed).permutation(len(asked)):
            if drawn and sum(sizes[pid] for pid in drawn) >= limit:
                break
            drawn.add(asked[i])
        return replace(self, sources=tuple(crop for crop in crops if crop.pid in drawn))


class Reidentification(Task):
    name = "reid"
    summary = "who is it: mAP, Rank-1 and ID², as the features are and centralised"
    noun = "query"
    data = "demo"
    model = "efficientnet-lite0"
    scores = (
        Score("ap", "mAP", "share", "mean over queries of the average precision"),
        Score("rank1", "Rank-1", "share", "a match is nearest", binary=True, rank=3),
        Score("ap_nfc", "centralised mAP", "share", "mAP after NFC with k1 = k2 = 2", interval=True, rank=2),
        Score("rank1_nfc", "Rank-1 NFC", "share", "Rank-1 after NFC", binary=True, rank=6),
        Score(
            "won_back",
            "against raw original",
            "points",
            "centralised mAP less the mAP of the originals as they are: what centralising wins back, or more",
            interval=True,
            rank=4,
        ),
        Score("id2", "ID²", "distance", "mean squared distance to the centre of one's identity", rank=7),
        Score("id2_nfc", "ID² NFC", "distance", "ID² after NFC", rank=8),
        Score(
            "drift",
            "drift",
            "distance",
            "cosine distance of a feature to the original's (fidelity: needs no labels)",
            fidelity=True,
            rank=9,
        ),
    )

    fields = (
        Field("pid", "int64", "whose crop it is; 0 a distractor's"),
        Field("camid", "int32", "its camera; −1 where none is known"),
        Field("role", "string", "'query' or 'gallery'"),
        Field("feature", "binary", "the backbone's feature, little-endian float32, not normalised"),
        Field("drift", "float64", "cosine distance of the feature to the original's"),
    )

    def read(self, plan: Plan) -> Crops:
        from reid.datasets.base import read_reid
        from reid.features import JUNK
        from reid.protocols import without

        if plan.labels is not None or plan.no_labels:
            raise UserError("re-identification takes no labels: a data set's own names say who is who")
        dataset = read_reid(*_spec(plan.data))
        twice = {crop.id for crop in dataset.query} & {crop.id for crop in dataset.gallery}
        kept = [crop for crop in dataset.gallery if crop.pid != JUNK]
        sources = [
            CropSource(
                f"{crop.id} ({role})" if crop.id in twice else crop.id,
                crop.path,
                pid=crop.pid,
                camid=crop.camid,
                role=role,
            )
            for role, crops in (("query", dataset.query), ("gallery", kept))
            for crop in crops
        ]
        in_gallery = np.array([crop.pid != JUNK for crop in dataset.gallery])
        protocol = without(dataset.protocol, np.ones(len(dataset.query), dtype=bool), in_gallery)
        return Crops(dataset.name, tuple(sources), remarks=dataset.notes, protocol=protocol)

    def fit(self, dataset: Dataset, models: list[Any]) -> tuple[Dataset, list[str]]:
        return dataset, list(dataset.remarks) if isinstance(dataset, Crops) else []

    def load(self, spec: str, weights: Path | None) -> Backbone:
        from reid.backbones.base import load_backbone

        backbone = load_backbone(spec, weights)
        if backbone.cameras:
            raise UserError(
                f"{spec} must be told each crop's camera: sie=mean or sie=none makes it do without"
            )
        return backbone

    def targets(self, dataset: Dataset, model: Backbone) -> list[dict[str, Any]]:
        crops = [source for source in dataset.sources if isinstance(source, CropSource)]
        return [{"pid": crop.pid, "camid": crop.camid, "role": crop.role} for crop in crops]

    def answers(self, model: Backbone, inputs: list[Any]) -> list[Any]:
        import torch

        return list(model.features(torch.stack(inputs)))

    def scored(
        self, answer: np.ndarray, target: Mapping[str, Any], truth: Any, original: np.ndarray
    ) -> dict[str, Any]:
        return {"feature": answer.astype("<f4").tobytes(), "drift": cosine_distance(answer, original)}

    def identity(self, dataset: Dataset) -> dict[str, Any]:
        assert isinstance(dataset, Crops)
        assert dataset.protocol is not None
        p = dataset.protocol
        trials = [{"query": t.query.tolist(), "gallery": t.gallery.tolist()} for t in p.trials]
        return {"name": self.name, "rule": p.rule, "cmc": p.cmc, "trials": trials}

    def views(self, cells: Cells) -> list[View]:
        halves = [(_half(table, "query"), _half(table, "gallery")) for _, table in cells]
        views = [_view("query and gallery coded", cells, halves, ("query", "gallery"))]
        if cells[0][0]["codec"]["name"] == "none":
            archived = [(halves[0][0], gallery) for _, gallery in halves]
            views.append(_view("only the gallery coded", cells, archived, ("gallery",)))
        return views

    def notes(self, score: str) -> list[str]:
        return [
            f"Centralised: each feature averaged with its mutual neighbours (NFC, k1 = k2 = {K1}), query and gallery "
            "each by itself; centralising queries uses the other queries. Against raw original: centralised after "
            "coding less the original as it is, so above 0 centralising wins back more than coding took."
        ]


@dataclass
class _Half:
    """One role's crops of one cell. rows: (n,) of the table, those that have a feature. there: for all crops of
    the role, whether each has one."""

    rows: np.ndarray
    there: np.ndarray
    found: FeatureSet | None
    _centralised: FeatureSet | None = None

    @property
    def centralised(self) -> FeatureSet:
        from reid.centralize import nfc
        from reid.features import FeatureSet

        assert self.found is not None
        if self._centralised is None:
            made, _ = nfc(self.found.features, K1, K2)
            self._centralised = FeatureSet(made, self.found.pids, self.found.camids)
        return self._centralised


def _half(table: pa.Table, role: str) -> _Half:
    from reid.features import FeatureSet

    own = np.flatnonzero([r == role for r in table.column("role").to_pylist()])
    held = table.column("feature").take(own).to_pylist()
    there = np.array([feature is not None for feature in held], dtype=bool)
    rows = own[there]
    if not len(rows):
        return _Half(rows, there, None)
    features = np.stack([np.frombuffer(feature, "<f4") for feature in held if feature is not None])
    pids, camids = (np.array(table.column(name).take(rows).to_pylist()) for name in ("pid", "camid"))
    return _Half(rows, there, FeatureSet(features, pids, camids))


def _view(title: str, cells: Cells, halves: list[tuple[_Half, _Half]], coded: tuple[str, ...]) -> View:
    values, counted = [], []
    raw: np.ndarray | None = None
    for (identity, table), pair in zip(cells, halves, strict=True):
        own = np.array([role in coded for role in table.column("role").to_pylist()])
        scored = _scores(table.num_rows, *pair, identity["task"])
        scored["drift"] = np.where(own, column(table, "drift"), np.nan)
        baseline = identity["codec"]["name"] == "none"
        raw = scored["ap"] if baseline else raw
        if raw is not None:
            scored["won_back"] = scored["ap_nfc"] - raw
        values.append({key: Ratio.of(each) for key, each in scored.items()})
        counted.append(own)
    return View(title, values, counted)


def _scores(samples: int, query: _Half, gallery: _Half, task: dict[str, Any]) -> dict[str, np.ndarray]:
    """(samples,) values by score, NaN where a crop has none: a gallery's, or a query with nothing to find."""
    from reid.features import FeatureError
    from reid.protocols import without

    names = ("ap", "rank1", "ap_nfc", "rank1_nfc", "id2", "id2_nfc")
    values = {name: np.full(samples, np.nan) for name in names}
    if query.found is None or gallery.found is None:
        return values
    protocol = without(_protocol(task), query.there, gallery.there)
    for suffix in ("", "_nfc"):
        search = _Search(samples, query, gallery, centralised=bool(suffix))
        try:
            found = search.trials(protocol) if protocol.trials else search.everything(protocol)
        except FeatureError:  # no query has a match: there is nothing to score
            found = None
        values["id2" + suffix] = search.density
        if found is not None:
            values["ap" + suffix][query.rows[found.queries]] = found.average_precision
            values["rank1" + suffix][query.rows[found.queries]] = found.found(1)
    return values


class _Search:
    """One way to search, centralised or not. density: (samples,) of ID², NaN of crops that are nobody or not there;
    of several trials the mean over those that hold the crop."""

    def __init__(self, samples: int, query: _Half, gallery: _Half, *, centralised: bool) -> None:
        self.query, self.gallery, self.centralised = query, gallery, centralised
        self._sums, self._times = np.zeros(samples), np.zeros(samples)

    @property
    def density(self) -> np.ndarray:
        return np.where(self._times > 0, self._sums / np.maximum(self._times, 1), np.nan)

    def everything(self, protocol: Protocol) -> Retrieval:
        """Raises FeatureError where no query has a match."""
        from reid.metrics import evaluate

        q, g = (half.centralised if self.centralised else half.found for half in (self.query, self.gallery))
        assert q is not None
        assert g is not None
        self._add(q, g, self.query.rows, self.gallery.rows)
        return evaluate(q, g, protocol=protocol)

    def trials(self, protocol: Protocol) -> Retrieval:
        """A trial is centralised by itself: over a whole gallery it would meet crops that it never draws."""
        from reid.centralize import centralize
        from reid.features import JUNK
        from reid.metrics import evaluate
        from reid.neighbors import distance_blocks

        q, g = self.query.found, self.gallery.found
        assert q is not None
        assert g is not None
        asked = [(trial.query[q.pids[trial.query] != JUNK], trial.gallery) for trial in protocol.trials]
        searched = iter([pair for pair in asked if all(map(len, pair))])  # as evaluate leaves them out

        def search(queries: FeatureSet, items: FeatureSet) -> Iterable[np.ndarray]:
            rows, held = next(searched)
            if self.centralised:
                made = centralize(queries, items, k1=K1, k2=K2)
                queries, items = made.query, made.gallery
            self._add(queries, items, self.query.rows[rows], self.gallery.rows[held])
            return (block.numpy() for _, block in distance_blocks(queries.features, items.features))

        return evaluate(q, g, protocol=protocol, search=search)

    def _add(self, query: FeatureSet, gallery: FeatureSet, *rows: np.ndarray) -> None:
        from reid.metrics import densities

        own, found = np.concatenate(rows), densities(query, gallery)
        somebody = np.isfinite(found)
        self._sums[own[somebody]] += found[somebody]
        self._times[own[somebody]] += 1


def _protocol(task: dict[str, Any]) -> Protocol:
    """The protocol that a cell's identity holds."""
    from reid.protocols import Protocol, Trial

    trials = tuple(
        Trial(np.array(t["query"], dtype=np.int64), np.array(t["gallery"], dtype=np.int64))
        for t in task["trials"]
    )
    return Protocol(task["rule"], task["cmc"], trials)


def _spec(data: str) -> tuple[str, Path | None]:
    """``demo``, ``market1501:DIR``, ``sysu-mm01:indoor:DIR``, or a path: of a folder in Market-1501's naming, or of
    a manifest or the folder that it lies in."""
    path = user_path(data)
    if path.exists():
        return "manifest" if path.is_file() or (path / "manifest.csv").is_file() else "folder", path
    spec, _, root = data.rpartition(":")
    if spec and user_path(root).exists():
        return spec, user_path(root)
    return data, None
