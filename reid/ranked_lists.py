"""Ranked lists: what a query finds in the gallery, in the order and under the rules of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich.markup import escape

from reid.features import JUNK, FeatureSet, check_fit, l2_normalized
from reid.protocols import Rule
from reports.content import Column, Section, Table

if TYPE_CHECKING:
    from reid.datasets.base import Crop

Verdict = Literal["right", "wrong", "skipped"]

_BLOCK = 64 * 2**20  # bytes of gallery features that are brought to doubles at once


@dataclass(frozen=True)
class Ranked:
    """index: into the gallery. distance: Euclidean. rank: from 1; None where the protocol skips the item."""

    index: int
    distance: float
    verdict: Verdict
    rank: int | None


def ranked(
    query: FeatureSet,
    gallery: FeatureSet,
    index: int,
    *,
    rule: Rule = "same-camera",
    top: int | None = 10,
    normalize: bool = True,
) -> list[Ranked]:
    """What query ``index`` finds, nearest first, as far as the ``top``-th item that counts (None: all of them).

    As the evaluation has it: junk is dropped; items that ``rule`` hides from the query are told as skipped and
    take no rank; equally near items come in the gallery's order. Raises FeatureError where the two sets do not
    fit together, IndexError where there is no such query.
    """
    return ranked_lists(query, gallery, [index], rule=rule, top=top, normalize=normalize)[0]


def ranked_lists(
    query: FeatureSet,
    gallery: FeatureSet,
    indices: Sequence[int],
    *,
    rule: Rule = "same-camera",
    top: int | None = 10,
    normalize: bool = True,
) -> list[list[Ranked]]:
    """``ranked`` of several queries; the gallery is gone through once."""
    check_fit(query, gallery)
    kept = np.flatnonzero(gallery.pids != JUNK)
    pids, camids = gallery.pids[kept], gallery.camids[kept]
    lists = []
    for index, distances in zip(indices, _distances(query, gallery, indices, kept, normalize), strict=True):
        pid, camid = query.pids[index], query.camids[index]
        right = (pids == pid) & (pid != JUNK)
        skipped = hidden(rule, pid, camid, pids, camids)
        found: list[Ranked] = []
        rank = 0
        for item in np.argsort(distances, kind="stable"):
            if top is not None and rank >= top:
                break
            rank += not skipped[item]
            verdict: Verdict = "skipped" if skipped[item] else "right" if right[item] else "wrong"
            place = None if skipped[item] else rank
            found.append(Ranked(int(kept[item]), float(distances[item]), verdict, place))
        lists.append(found)
    return lists


def hidden(
    rule: Rule, pid: np.ndarray, camid: np.ndarray, pids: np.ndarray, camids: np.ndarray
) -> np.ndarray:
    """(n,) booleans: which gallery items a query, or each of (n,) queries its own, does not see.

    A camera that is not known is nobody's own.
    """
    if rule == "same-camera":
        return (pids == pid) & (camids == camid) & (camids >= 0)
    if rule == "sysu":
        return (camids == 2) & (camid == 3)
    return np.zeros(len(pids), dtype=bool)


def _distances(
    query: FeatureSet, gallery: FeatureSet, indices: Sequence[int], kept: np.ndarray, normalize: bool
) -> np.ndarray:
    """(queries, kept) float32 Euclidean distances, the gallery taken a block at a time.

    Sums are of doubles: centralised pairs are equal, and equal features must come out equally far.
    """
    brought = l2_normalized if normalize else np.asarray
    asked = brought(query.features[list(indices)]).astype(np.float64)
    squares = np.einsum("nd,nd->n", asked, asked)[:, None]
    distances = np.empty((len(asked), len(kept)), dtype=np.float32)
    step = max(1, _BLOCK // (8 * asked.shape[1]))
    for start in range(0, len(kept), step):
        items = brought(gallery.features[kept[start : start + step]]).astype(np.float64)
        apart = squares - 2 * (asked @ items.T) + np.einsum("nd,nd->n", items, items)
        distances[:, start : start + step] = np.sqrt(np.maximum(apart, 0))
    return distances


def section(
    query: Crop,
    gallery: Sequence[Crop],
    before: Sequence[Ranked],
    after: Sequence[Ranked] | None = None,
    *,
    top: int = 10,
) -> Section:
    """``reid rank``: the first ``top`` of a query's list, and of the list after centralisation below it.

    ``before`` may be longer than ``top``: it then tells where an item came from.
    """
    lists = {"before": before} if after is None else {"before": before, "after": after}
    was = {item.index: item.rank for item in before}
    known = max((item.rank or 0 for item in before), default=0)
    rows, data = [], list[dict[str, Any]]()
    for name, items in lists.items():
        for item in listed(items, top):
            crop = gallery[item.index]
            colour = "green" if item.verdict == "right" else "red"
            old = was.get(item.index) or f">{known}"
            rows.append(
                {
                    "list": name,
                    "rank": str(item.rank),
                    "was": str(old) if name == "after" else "",
                    "file": escape(crop.id),
                    "identity": str(crop.pid),
                    "camera": str(crop.camid),
                    "distance": f"{item.distance:.4f}",
                    "verdict": f"[{colour}]{item.verdict}[/{colour}]",
                }
            )
            data.append(
                {"query": query.id, "list": name, "rank": item.rank, "file": crop.id, "identity": crop.pid}
                | {"camera": crop.camid, "distance": item.distance, "verdict": item.verdict}
            )
    columns = [
        Column("rank", "rank"),
        Column("was", "was", 4),
        Column("file", "file", right=False),
        Column("verdict", "", right=False),
        Column("distance", "distance", 1),
        Column("identity", "identity", 3),
        Column("camera", "camera", 2),
    ]
    columns = [columns[0], *columns[2:]] if after is None else [Column("list", "list", right=False), *columns]
    camera = f"camera {query.camid}" if query.camid >= 0 else "camera unknown"
    return Section(
        f"{query.id} · identity {query.pid} · {camera}",
        _answer(lists, top),
        Table(columns, rows, group="list"),
        notes=_notes(lists, top),
        data=data,
    )


def listed(items: Sequence[Ranked], top: int) -> list[Ranked]:
    """The items that count, as far as rank ``top``."""
    return [item for item in items if item.rank is not None and item.rank <= top]


def _answer(lists: dict[str, Sequence[Ranked]], top: int) -> str:
    said = []
    for name, items in lists.items():
        shown = listed(items, top)
        first = next((item.rank for item in items if item.verdict == "right"), None)
        found = sum(item.verdict == "right" for item in shown)
        where = f", the first at rank {first}" if first else ""
        lead = "" if len(lists) == 1 else f"{name.capitalize()} centralisation "
        said.append(f"{lead}{found} of the first {len(shown)} are right{where}.")
    return " ".join(said)


def _notes(lists: dict[str, Sequence[Ranked]], top: int) -> list[str]:
    notes = []
    for name, items in lists.items():
        end = next((place for place, item in enumerate(items) if item.rank == top), len(items))
        skipped = sum(item.verdict == "skipped" for item in items[:end])
        if skipped:
            crops = "crop" if skipped == 1 else "crops"
            where = "" if len(lists) == 1 else f"{name.capitalize()}: "
            notes.append(
                f"{where}{skipped} {crops} as near as these, which the protocol hides from this query."
            )
    notes.append("Distances are Euclidean, between features of length 1.")
    return notes
