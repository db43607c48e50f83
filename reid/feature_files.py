"""Feature sets written for later: an npz of plain arrays, which says what it is of and who may match whom."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from mpq.errors import UserError
from mpq.files import write_whole
from reid.features import FeatureError, FeatureSet, check_fit
from reid.protocols import MARKET, Cmc, Protocol, Rule, Trial


@dataclass(frozen=True)
class About:
    """What a file says of its features: the data set, the backbone, the protocol, and of each query and gallery item
    its id and the path of its picture. Empty, or Market-1501's protocol, where it says nothing."""

    name: str = ""
    backbone: str = ""
    protocol: Protocol = MARKET
    query_ids: tuple[str, ...] = ()
    gallery_ids: tuple[str, ...] = ()
    query_paths: tuple[Path, ...] = ()
    gallery_paths: tuple[Path, ...] = ()


def save_npz(path: Path, query: FeatureSet, gallery: FeatureSet, about: About | None = None) -> None:
    """Writes what ``reid.features.read_npz`` and ``read_about`` read; whole, or not at all.

    The npz holds, queries first, feats (N, D) float32, pids, camids (N,) int64 and is_query (N,) bool; and as
    far as ``about`` says, ids and paths (N,), name, backbone, rule and cmc (), and of the protocol's trials the
    indices one after another (trial_query, trial_gallery) and how many are each one's (trial_query_counts,
    trial_gallery_counts). Raises UserError where it cannot be written, FeatureError where the two do not fit.
    """
    check_fit(query, gallery)
    arrays = {
        "feats": np.concatenate([query.features, gallery.features]),
        "pids": np.concatenate([query.pids, gallery.pids]),
        "camids": np.concatenate([query.camids, gallery.camids]),
        "is_query": np.arange(len(query) + len(gallery)) < len(query),
    }
    if about is not None:
        arrays |= _described(about, len(query), len(gallery))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    try:
        write_whole(path, buffer.getbuffer())
    except OSError as error:
        raise UserError(f"'{path}' cannot be written: {error.strerror}") from None


def read_about(path: Path) -> About:
    """What a file of ``read_npz`` says beside its features. Raises FeatureError where what it says cannot be."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            queries = int(archive["is_query"].sum())
            items = len(archive["is_query"]) - queries
            words = {
                key: str(archive[key]) for key in ("name", "backbone", "rule", "cmc") if key in archive.files
            }
            ids, paths = (
                [str(v) for v in archive[key]] if key in archive.files else [] for key in ("ids", "paths")
            )
            trials = _trials(archive, queries, items)
            is_query = archive["is_query"]
    except FeatureError as error:
        raise FeatureError(f"{path}: {error}") from None
    except Exception as error:  # numpy's, zipfile's and zlib's are many
        raise FeatureError(f"{path}: what it says of itself cannot be read ({error})") from None
    for what, values in (("ids", ids), ("paths", paths)):
        if len(values) not in (0, len(is_query)):
            raise FeatureError(f"{path}: it has {len(values)} {what} for {len(is_query)} features")
    rule, cmc = words.get("rule", MARKET.rule), words.get("cmc", MARKET.cmc)
    if rule not in get_args(Rule) or cmc not in get_args(Cmc):
        raise FeatureError(f"{path}: there is no protocol of rule '{rule}' and CMC over '{cmc}'")
    asked, held = np.flatnonzero(is_query), np.flatnonzero(~is_query)

    def of(values: list[Any], rows: np.ndarray) -> tuple[Any, ...]:
        return tuple(values[row] for row in rows) if values else ()

    files = [Path(text) for text in paths]
    return About(
        words.get("name", ""),
        words.get("backbone", ""),
        Protocol(rule, cmc, trials),  # type: ignore[arg-type]
        of(ids, asked),
        of(ids, held),
        of(files, asked),
        of(files, held),
    )


def _described(about: About, queries: int, items: int) -> dict[str, np.ndarray]:
    arrays = {
        "name": np.array(about.name),
        "backbone": np.array(about.backbone),
        "rule": np.array(about.protocol.rule),
        "cmc": np.array(about.protocol.cmc),
    }
    for key, asked, held in (
        ("ids", about.query_ids, about.gallery_ids),
        ("paths", about.query_paths, about.gallery_paths),
    ):
        if asked or held:
            arrays[key] = np.array([str(value) for value in (*asked, *held)])
            if (len(asked), len(held)) != (queries, items):
                raise ValueError(f"{len(asked)} and {len(held)} {key} of {queries} queries and {items} items")
    if trials := about.protocol.trials:
        for key, indices in (("query", [t.query for t in trials]), ("gallery", [t.gallery for t in trials])):
            arrays[f"trial_{key}"] = np.concatenate(indices).astype(np.int64)
            arrays[f"trial_{key}_counts"] = np.array([len(one) for one in indices])
    return arrays


def _trials(archive: Any, queries: int, items: int) -> tuple[Trial, ...]:
    if "trial_query" not in archive.files:
        return ()
    split: list[Sequence[np.ndarray]] = []
    for key, limit in (("query", queries), ("gallery", items)):
        indices, counts = archive[f"trial_{key}"], archive[f"trial_{key}_counts"]
        whole = indices.dtype.kind in "iu" and counts.dtype.kind in "iu" and (counts >= 0).all()
        if not whole or counts.sum() != len(indices) or (len(indices) and indices.min() < 0):
            raise FeatureError(f"the indices of its trials into the {key} are no indices")
        if len(indices) and indices.max() >= limit:
            raise FeatureError(f"a trial asks for {key} item {indices.max()} of {limit}")
        if split and len(counts) != len(split[0]):
            raise FeatureError(f"it has {len(split[0])} trials of queries and {len(counts)} of the gallery")
        split.append(np.split(indices.astype(np.int64), np.cumsum(counts)[:-1]))
    return tuple(Trial(asked, held) for asked, held in zip(*split, strict=True))
