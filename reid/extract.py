"""Features of crops: read in threads, asked in batches, and what was asked before taken from the disk."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mpq.errors import UserError, first_line
from mpq.samples import SampleError, read_image
from reid.backbones.base import Backbone, checked_cameras
from reid.feature_cache import FeatureCache

if TYPE_CHECKING:
    import torch

    from reid.datasets.base import Crop

BATCH = 64
"""Crops that are asked together; on a CPU the network takes them in smaller passes."""

_READERS = 2
_KEPT_TOGETHER = 1024  # crops in a file of the cache: what a kill can lose


@dataclass(frozen=True)
class Extracted:
    """features: (N, D) float32, in the crops' order, not normalised; a row of NaN for a crop that has none.

    unreadable: index -> why there is none. found: how many came from the cache. notes: what else went wrong.
    """

    features: np.ndarray
    unreadable: dict[int, str] = field(default_factory=dict)
    found: int = 0
    notes: tuple[str, ...] = ()


def extract(
    crops: Sequence[Crop],
    backbone: Backbone,
    *,
    flip: bool = False,
    batch: int | None = None,
    cache: Path | None = None,
    advanced: Callable[[int], None] = lambda count: None,
) -> Extracted:
    """What ``backbone`` says of each crop.

    flip: the mean of the features of the crop and its mirror image, as they come, before any normalisation. batch:
    crops that are asked together, ``BATCH`` unless told. cache: a folder in which features are kept by the crop's
    bytes and all else that shapes them; what it holds is not computed again. advanced: called with how many more
    crops are done. Raises UserError where no crop has a feature, the cache cannot be used, or the backbone does
    not know a crop's camera.
    """
    cameras = None
    if backbone.cameras:
        cameras = checked_cameras(backbone, np.array([crop.camid for crop in crops], dtype=np.int64))
    batch = batch or BATCH
    made = _Made(len(crops), advanced)
    kept = None
    if cache is not None:
        identity = {**backbone.identity, "device": backbone.device, "flip": flip}
        kept = _Kept(FeatureCache(cache, identity))
    with ThreadPoolExecutor(_READERS) as readers:
        try:
            if kept is not None:
                keys = readers.map(lambda i: _key(crops[i], backbone), range(len(crops)))
                kept.fill(made, list(keys))
            wanted = [i for i in range(len(crops)) if not made.done[i]]
            pictures = _read_ahead(readers, crops, wanted, backbone, ahead=2 * batch)
            for indices, keys_, stack in _batched(pictures, batch, made):
                camids = None if cameras is None else cameras[indices]
                rows = backbone.features(stack, camids)
                if flip:
                    rows = (rows + backbone.features(stack.flip(3), camids)) / 2
                made.put(indices, rows)
                if kept is not None:
                    kept.add(keys_, rows)
        finally:
            readers.shutdown(cancel_futures=True)
            if kept is not None:
                kept.flush()
    return made.result(kept)


class _Made:
    """The rows that are there so far."""

    def __init__(self, count: int, advanced: Callable[[int], None]) -> None:
        self.done = np.zeros(count, dtype=bool)
        self.features: np.ndarray | None = None
        self.unreadable: dict[int, str] = {}
        self.advanced = advanced

    def put(self, indices: Sequence[int], rows: np.ndarray) -> None:
        if self.features is None:
            self.features = np.full((len(self.done), rows.shape[1]), np.nan, dtype=np.float32)
        self.features[indices] = rows
        self.done[indices] = True
        for index, finite in zip(indices, np.isfinite(rows).all(axis=1), strict=True):
            if not finite:
                self.refuse(index, "the backbone's feature of it is not finite", counted=True)
        self.advanced(len(indices))

    def refuse(self, index: int, why: str, *, counted: bool = False) -> None:
        self.unreadable[index] = why
        self.done[index] = True
        if self.features is not None:
            self.features[index] = np.nan
        if not counted:
            self.advanced(1)

    def result(self, kept: _Kept | None) -> Extracted:
        if len(self.unreadable) == len(self.done) and self.unreadable:
            raise UserError(
                f"none of the {len(self.done)} pictures has a feature; the first: {self.unreadable[min(self.unreadable)]}"
            )
        features = np.empty((0, 0), np.float32) if self.features is None else self.features
        unreadable = dict(sorted(self.unreadable.items()))
        if kept is None:
            return Extracted(features, unreadable)
        return Extracted(features, unreadable, kept.found, kept.notes)


class _Kept:
    """What the cache holds of a run's crops, and what the run adds to it."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        self.found = 0
        self.notes: tuple[str, ...] = ()
        self._keys: list[bytes] = []
        self._rows: list[np.ndarray] = []

    def fill(self, made: _Made, keys: list[bytes | None]) -> None:
        """Puts what the cache has by the crops' keys, None where a crop cannot be read."""
        places: dict[bytes, list[int]] = {}
        for index, key in enumerate(keys):
            if key is not None:
                places.setdefault(key, []).append(index)
        for held, features in self.cache.read():
            pairs = [(i, row) for row, key in enumerate(held) for i in places.pop(key, ())]
            if pairs:
                made.put([i for i, _ in pairs], features[[row for _, row in pairs]])
                self.found += len(pairs)

    def add(self, keys: list[bytes], rows: np.ndarray) -> None:
        finite = np.isfinite(rows).all(axis=1)
        self._keys += [key for key, good in zip(keys, finite, strict=True) if good]
        self._rows.append(rows[finite])
        if len(self._keys) >= _KEPT_TOGETHER:
            self.flush()

    def flush(self) -> None:
        """A cache that fails costs the next run time, not this one its result."""
        if self._keys and not self.notes:
            try:
                self.cache.write(self._keys, np.concatenate(self._rows))
            except OSError as error:
                self.notes = (
                    f"features are not kept: '{self.cache.folder}' cannot be written ({error.strerror})",
                )
        self._keys, self._rows = [], []


def _key(crop: Crop, backbone: Backbone) -> bytes | None:
    try:
        return _key_of(crop.path.read_bytes(), crop, backbone)
    except OSError:  # reading it for its feature will say why
        return None


def _key_of(data: bytes, crop: Crop, backbone: Backbone) -> bytes:
    digest = hashlib.sha256(data).digest()
    return hashlib.sha256(digest + str(crop.camid).encode()).digest() if backbone.cameras else digest


_Picture = tuple[bytes, "torch.Tensor"]


def _read_ahead(
    readers: ThreadPoolExecutor,
    crops: Sequence[Crop],
    wanted: Sequence[int],
    backbone: Backbone,
    *,
    ahead: int,
) -> Iterator[tuple[int, _Picture | str]]:
    """(index, (key, picture) or why there is none), in order, up to ``ahead`` being read meanwhile."""

    def read(crop: Crop) -> _Picture | str:
        try:
            data = crop.path.read_bytes()
            return _key_of(data, crop, backbone), backbone.preprocess(read_image(data).image)
        except OSError as error:
            return error.strerror or first_line(error)
        except SampleError as error:
            return first_line(error)

    under_way: deque[tuple[int, Future[_Picture | str]]] = deque()
    for index in wanted:
        under_way.append((index, readers.submit(read, crops[index])))
        if len(under_way) >= ahead:
            first, future = under_way.popleft()
            yield first, future.result()
    for index, future in under_way:
        yield index, future.result()


def _batched(
    pictures: Iterator[tuple[int, _Picture | str]], batch: int, made: _Made
) -> Iterator[tuple[list[int], list[bytes], torch.Tensor]]:
    """Indices, keys and (B, 3, h, w) of readable pictures, ``batch`` at a time; the others are refused."""
    import torch

    held: list[tuple[int, _Picture]] = []

    def together() -> tuple[list[int], list[bytes], torch.Tensor]:
        return [i for i, _ in held], [key for _, (key, _) in held], torch.stack([p for _, (_, p) in held])

    for index, picture in pictures:
        if isinstance(picture, str):
            made.refuse(index, picture)
            continue
        held.append((index, picture))
        if len(held) == batch:
            yield together()
            held.clear()
    if held:
        yield together()
