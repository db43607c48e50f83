"""What a report on re-identification shows: ranked lists, distances, densities, a map. Plain content for ``reports``.

Where pairs, queries or identities are drawn, they are drawn with a seed: the same features give the same figures.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mpq.samples import SampleError, read_image
from reid.features import JUNK, FeatureError, FeatureSet, l2_normalized
from reid.metrics import Retrieval, identity_density
from reid.protocols import Rule
from reid.ranked_lists import Ranked, hidden, listed, ranked_lists
from reports.contact_sheet import within
from reports.content import (
    Cloud,
    Distribution,
    Dot,
    Dots,
    Figure,
    Frame,
    Histogram,
    Picture,
    PictureRow,
    Pictures,
    Scatter,
)

if TYPE_CHECKING:
    from reid.datasets.base import Crop

Sets = Mapping[str, tuple[FeatureSet, FeatureSet]]
"""Queries and galleries by what they are: before, after. All of the same crops in the same order."""

HEIGHT = 128
"""Pixels that a crop is shown high: what re-identification networks see of it is at most twice that."""

_CHUNK = 16 * 2**20  # bytes of features that sampled pairs may take at once


def search_figures(
    sets: Sets,
    *,
    rule: Rule = "same-camera",
    crops: tuple[Sequence[Crop], Sequence[Crop]] | None = None,
    retrievals: Sequence[Retrieval] = (),
    seed: int = 0,
) -> list[Figure]:
    """All that a report shows of a search, before and after.

    Ranked lists are there where ``crops``, of query and gallery, and ``retrievals``, one a set, are given.
    """
    figures: list[Figure] = [
        distances(sets, rule=rule, seed=seed),
        density(sets),
        identity_map(sets, seed=seed),
    ]
    if crops is not None and retrievals:
        chosen = telling_queries(*retrievals, seed=seed)
        lists = {name: ranked_lists(*pair, list(chosen), rule=rule) for name, pair in sets.items()}
        figures.append(ranked_pictures(*crops, chosen, lists))
    return figures


def ranked_pictures(
    query: Sequence[Crop],
    gallery: Sequence[Crop],
    chosen: Mapping[int, str],
    lists: Mapping[str, Sequence[Sequence[Ranked]]],
    *,
    top: int = 10,
    height: int = HEIGHT,
) -> Pictures:
    """Ranked lists as rows of pictures, one row a query.

    chosen: the queries' indices, and what is to be said of each. lists: by name (before, after), a list a query,
    in the order of ``chosen``.
    """
    rows = []
    for place, (index, said) in enumerate(chosen.items()):
        strips = {
            name: [_found(gallery[item.index], item, height) for item in listed(one[place], top)]
            for name, one in lists.items()
        }
        crop = query[index]
        lead = Picture(thumbnail(crop, height), crop.id, f"identity {crop.pid}", _camera(crop))
        rows.append(PictureRow(f"{crop.id} · {said}" if said else crop.id, lead, strips))
    return Pictures(
        "Ranked lists",
        rows,
        "Nearest first, with the rank and the distance; ✓ is the same person, ✗ is somebody else. What the "
        "protocol hides from a query is left out.",
        height,
    )


def telling_queries(
    before: Retrieval,
    after: Retrieval | None = None,
    *,
    gains: int = 3,
    losses: int = 3,
    drawn: int = 3,
    seed: int = 0,
) -> dict[int, str]:
    """Queries worth a look, and why: those that gained and lost most average precision, and some at random."""
    then = before if after is None else after
    change = then.average_precision - before.average_precision
    order = np.argsort(-change, kind="stable")
    best = [place for place in order[:gains] if change[place] > 0]
    worst = [place for place in order[::-1][:losses] if change[place] < 0]
    rest = np.setdiff1d(np.arange(len(change)), [*best, *worst])
    picked = np.random.default_rng(seed).permutation(rest)[:drawn]
    chosen = {}
    for why, places in (("gains most", best), ("loses most", worst), ("drawn at random", picked)):
        for place in places:
            said = f"{why}, AP {100 * before.average_precision[place]:.1f}"
            if after is not None:
                said += f" before and {100 * after.average_precision[place]:.1f} after"
            chosen[int(before.queries[place])] = said
    return chosen


def thumbnail(crop: Crop, height: int = HEIGHT) -> bytes:
    """A crop as a JPEG, ``height`` pixels high unless it is more than twice as wide; grey where it is unreadable."""
    try:
        image = within(read_image(crop.path.read_bytes()).image, 2 * height, height)
    except (OSError, SampleError):
        image = Image.new("RGB", (height // 2, height), (128, 128, 128))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def distances(
    sets: Sets, *, rule: Rule = "same-camera", pairs: int = 100_000, bins: int = 60, seed: int = 0
) -> Histogram:
    """Distances of queries to gallery items of the same person and of others, before and after.

    At most ``pairs`` pairs of each kind are drawn, those that ``rule`` hides left out, and the same ones are
    measured everywhere, a chunk at a time. The note tells how often a pair of one person is the nearer.
    """
    query, gallery = next(iter(sets.values()))
    rng = np.random.default_rng(seed)
    drawn = {
        "same person": _same_pairs(query, gallery, rule, pairs, rng),
        "different people": _different_pairs(query, gallery, rule, pairs, rng),
    }
    measured = {
        name: {kind: _pair_distances(*one, *ends) for kind, ends in drawn.items()}
        for name, one in sets.items()
    }
    everything = [d for kinds in measured.values() for d in kinds.values() if len(d)]
    highest = max((float(d.max()) for d in everything), default=0.0) or 1.0
    lowest = min((float(d.min()) for d in everything), default=0.0)
    edges = np.linspace(min(lowest, 0.98 * highest), highest, bins + 1)
    nearer = {
        name: _nearer(kinds["same person"], kinds["different people"]) for name, kinds in measured.items()
    }
    said = ", ".join(f"{100 * share:.1f} % {name}" for name, share in nearer.items() if np.isfinite(share))
    return Histogram(
        "Distances",
        "Euclidean distance, features of length 1",
        edges.tolist(),
        {
            name: [
                Distribution(kind, (np.histogram(d, edges)[0] / max(1, len(d))).tolist())
                for kind, d in kinds.items()
            ]
            for name, kinds in measured.items()
        },
        (f"A pair of the same person is nearer than a pair of different people in {said}. " if said else "")
        + f"Of {len(drawn['same person'][0]):,} and {len(drawn['different people'][0]):,} pairs of a query and a "
        "gallery item.",
    )


def density(sets: Sets) -> Dots:
    """ID² of each identity, of queries and gallery together, in the order of the first set's."""
    values: dict[str, np.ndarray] = {}
    for name, (query, gallery) in sets.items():
        features, owners = _somebody(query, gallery)
        pids, place, count = np.unique(owners, return_inverse=True, return_counts=True)
        each = identity_density(features, owners) if len(features) else None
        values[name] = np.bincount(place, each, minlength=len(pids)) / count
    table = np.stack(list(values.values()), axis=1)
    order = np.argsort(table[:, 0], kind="stable")
    denser = [f"{name} for {np.sum(table[:, i] < table[:, 0])}" for i, name in enumerate(values) if i]
    return Dots(
        "ID² of each identity",
        "ID²",
        list(values),
        [Dot(f"identity {pids[i]}", table[i].tolist()) for i in order],
        "The mean squared distance of a person's features to their centre: smaller is denser. "
        f"{len(table)} identities" + "".join(f", denser {said} of them" for said in denser) + ".",
    )


def identity_map(sets: Sets, *, identities: int = 8, crops: int = 40, seed: int = 0) -> Scatter:
    """Some identities' features in two dimensions: the two of most variance over all sets together.

    Identities of at least four crops are drawn first; of each, at most ``crops``. Two dimensions show a part of
    what there is: the titles tell how much. Raises FeatureError where there is nobody.
    """
    owners = np.concatenate([one.pids for one in next(iter(sets.values()))])
    rng = np.random.default_rng(seed)
    pids, count = np.unique(owners[owners > 0], return_counts=True)
    order = np.argsort(count[drawn := rng.permutation(len(pids))] < 4, kind="stable")
    rows = {
        int(pid): rng.permutation(np.flatnonzero(owners == pid))[:crops]
        for pid in sorted(pids[drawn[order[:identities]]])
    }
    if not rows:
        raise FeatureError("there is nobody to map: all crops are junk or distractors")
    taken = np.concatenate(list(rows.values()))
    features = [_joined(*one, taken) for one in sets.values()]
    flat, shares = _principal(l2_normalized(np.concatenate(features)))
    panels: dict[str, list[Cloud]] = {}
    start = 0
    for name in sets:
        panels[name] = []
        for pid, members in rows.items():
            points = flat[start : start + len(members)]
            start += len(members)
            panels[name].append(Cloud(f"identity {pid}", [(float(x), float(y)) for x, y in points]))
    return Scatter(
        "A map of some identities",
        f"first component, {100 * shares[0]:.0f} % of the variance",
        f"second component, {100 * shares[1]:.0f} %",
        panels,
        f"{len(rows)} identities, drawn; each point a crop. The axes are the principal components of all that "
        "is shown. What lies together here may lie apart in the dimensions that are not shown.",
        equal=True,
    )


def _found(crop: Crop, item: Ranked, height: int) -> Picture:
    frame: Frame = "right" if item.verdict == "right" else "wrong"
    return Picture(thumbnail(crop, height), crop.id, f"{item.rank}", f"{item.distance:.3f}", frame)


def _camera(crop: Crop) -> str:
    return f"camera {crop.camid}" if crop.camid >= 0 else ""


Pairs = tuple[np.ndarray, np.ndarray]
"""Indices (n,) into the query and (n,) into the gallery."""


def _same_pairs(
    query: FeatureSet, gallery: FeatureSet, rule: Rule, pairs: int, rng: np.random.Generator
) -> Pairs:
    """Pairs of one person, all of them where there are no more than ``pairs``."""
    by_pid = np.argsort(gallery.pids, kind="stable")
    first = np.searchsorted(gallery.pids[by_pid], query.pids, side="left")
    end = np.searchsorted(gallery.pids[by_pid], query.pids, side="right")
    ends = np.cumsum(np.where(query.pids > 0, end - first, 0))
    total = int(ends[-1])
    places = np.arange(total) if total <= pairs else rng.integers(total, size=pairs)
    asked = np.searchsorted(ends, places, side="right")
    found = by_pid[end[asked] - (ends[asked] - places)]
    return _visible(query, gallery, rule, asked, found)


def _different_pairs(
    query: FeatureSet, gallery: FeatureSet, rule: Rule, pairs: int, rng: np.random.Generator
) -> Pairs:
    """Pairs of different people. Junk is nobody and is left out; distractors are somebody else."""
    asked = rng.integers(len(query), size=pairs)
    found = rng.integers(len(gallery), size=pairs)
    apart = (
        (query.pids[asked] != gallery.pids[found]) & (gallery.pids[found] != JUNK) & (query.pids[asked] > 0)
    )
    return _visible(query, gallery, rule, asked[apart], found[apart])


def _visible(
    query: FeatureSet, gallery: FeatureSet, rule: Rule, asked: np.ndarray, found: np.ndarray
) -> Pairs:
    """The pairs that ``rule`` does not hide."""
    labels = (query.pids[asked], query.camids[asked], gallery.pids[found], gallery.camids[found])
    seen = ~hidden(rule, *labels)
    return asked[seen], found[seen]


def _pair_distances(
    query: FeatureSet, gallery: FeatureSet, asked: np.ndarray, found: np.ndarray
) -> np.ndarray:
    """(n,) Euclidean distances of pairs of features brought to length 1."""
    measured = np.empty(len(asked), dtype=np.float32)
    step = max(1, _CHUNK // (4 * query.features.shape[1]))
    for start in range(0, len(asked), step):
        rows = slice(start, start + step)
        apart = l2_normalized(query.features[asked[rows]]) - l2_normalized(gallery.features[found[rows]])
        measured[rows] = np.sqrt(np.einsum("nd,nd->n", apart, apart))
    return measured


def _nearer(same: np.ndarray, different: np.ndarray) -> float:
    """Share of pairings in which the first is the smaller, ties by half: the area under the ROC curve."""
    if not len(same) or not len(different):
        return float("nan")
    ordered = np.sort(different)
    beyond = len(ordered) - np.searchsorted(ordered, same, side="right")
    tied = len(ordered) - np.searchsorted(ordered, same, side="left") - beyond
    return float(np.mean(beyond + tied / 2) / len(ordered))


def _somebody(query: FeatureSet, gallery: FeatureSet) -> tuple[np.ndarray, np.ndarray]:
    """Features and identities of all crops that are neither junk nor distractors."""
    sets = [(one.features[one.pids > 0], one.pids[one.pids > 0]) for one in (query, gallery)]
    return np.concatenate([features for features, _ in sets]), np.concatenate([pids for _, pids in sets])


def _joined(query: FeatureSet, gallery: FeatureSet, rows: np.ndarray) -> np.ndarray:
    """(n, D) features at ``rows`` of query and gallery in one, which are not put together for it."""
    asked = rows < len(query)
    features = np.empty((len(rows), query.features.shape[1]), dtype=np.float32)
    features[asked] = query.features[rows[asked]]
    features[~asked] = gallery.features[rows[~asked] - len(query)]
    return features


def _principal(features: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """(N, D) features -> (N, 2) coordinates of most variance, and the shares of it that they hold.

    An axis may point either way: it points to where its largest coordinate is.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    flat = np.zeros((len(features), 2))
    width = min(2, len(sizes))
    flat[:, :width] = left[:, :width] * sizes[:width]
    largest = flat[np.abs(flat).argmax(axis=0), np.arange(2)]
    flat *= np.where(largest < 0, -1.0, 1.0)
    shares = np.zeros(2)
    shares[:width] = sizes[:width] ** 2 / max(float(np.sum(sizes**2)), 1e-30)
    return flat, (float(shares[0]), float(shares[1]))
