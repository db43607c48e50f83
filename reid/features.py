"""Feature sets: what a backbone said about a data set's crops, with their identities and cameras."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

JUNK = -1
"""The identity of crops that show nobody in particular (Market-1501's −1): never a match."""

NO_CAMERA = -1
"""The camera of crops of which it is not known."""

_ROUNDING = 1e-6  # of a length in float32
_VANISHES, _OVERFLOWS = 1e-10, 1e15
"""Largest values of a row, in float32, beyond which its length may not be what it should."""

_ARRAYS = ("feats", "pids", "camids", "is_query")
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    RuntimeError,  # an encrypted archive
    NotImplementedError,  # an unknown compression
    SyntaxError,  # a damaged array header
    zipfile.BadZipFile,
    zlib.error,
)


class FeatureError(ValueError):
    """A feature set that cannot be used: one sentence that names the thing."""


@dataclass(frozen=True)
class FeatureSet:
    """Features of N crops: features (N, D) float32, pids (N,) int64, camids (N,) int64.

    Other float and integer types are converted. Raises FeatureError where a shape or a type is wrong, a
    feature is not finite, or there is none.
    """

    features: np.ndarray
    pids: np.ndarray
    camids: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", checked_features(self.features))
        for name in ("pids", "camids"):
            object.__setattr__(self, name, _checked_labels(getattr(self, name), len(self.features), name))

    def __len__(self) -> int:
        return len(self.features)


def read_npz(path: Path | str) -> tuple[FeatureSet, FeatureSet]:
    """A file's query and gallery.

    The npz holds feats (N, D) of floats, pids (N,) and camids (N,) of integers, is_query (N,) of booleans.
    Nothing is unpickled. Raises FeatureError, naming the file, where one of them is missing, misshapen or not
    finite, and where the query or the gallery is empty.
    """
    path = Path(path)
    try:
        arrays = _read_arrays(path)
        is_query = arrays["is_query"]
        labels = (arrays["pids"], arrays["camids"])
        whole = FeatureSet(arrays["feats"], *labels)
        if is_query.dtype != np.bool_ or is_query.shape != (len(whole),):
            raise FeatureError(
                f"is_query must be {len(whole)} booleans, one a feature, "
                f"and is {is_query.dtype} of shape {is_query.shape}"
            )
        if is_query.all() or not is_query.any():
            raise FeatureError(f"the {'gallery' if is_query.all() else 'query'} is empty")
    except FeatureError as error:
        raise FeatureError(f"{path}: {error}") from None
    return _subset(whole, is_query), _subset(whole, ~is_query)


def l2_normalized(features: np.ndarray) -> np.ndarray:
    """(N, D) features -> float32 rows of Euclidean length 1; zero rows stay zero.

    To the last bit what torch's ``normalize`` gives, as the published programs call it: where distances tie but
    for rounding, as a zero query's do, ranks hang on it. Only where lengths would overflow or vanish, rows are
    scaled by their largest value first.
    """
    import torch

    features = np.ascontiguousarray(features, dtype=np.float32)
    unit = torch.nn.functional.normalize(torch.from_numpy(features)).numpy()
    largest = np.maximum(features.max(axis=1), -features.min(axis=1))
    odd = np.flatnonzero((largest > 0) & ((largest < _VANISHES) | (largest > _OVERFLOWS)))
    if len(odd):
        scaled = torch.from_numpy(features[odd] / largest[odd, None])
        unit[odd] = torch.nn.functional.normalize(scaled).numpy()
    return unit


def unit_length(features: np.ndarray) -> np.ndarray:
    """A copy of length 1. What is of length 1 already keeps its last bits: it is not normalised twice."""
    # summed in double precision: a float32 sum of squares of hundreds of values is off by more than the rounding
    lengths = np.sqrt(np.einsum("nd,nd->n", features, features, dtype=np.float64))
    if ((np.abs(lengths - 1) < _ROUNDING) | (lengths == 0)).all():
        return np.array(features, dtype=np.float32)
    return l2_normalized(features)


def check_fit(query: FeatureSet, gallery: FeatureSet) -> None:
    """Raises FeatureError unless both have the same D."""
    asked, held = query.features.shape[1], gallery.features.shape[1]
    if asked != held:
        raise FeatureError(f"the query's features have {asked} dimensions, the gallery's have {held}")


def checked_features(features: np.ndarray, name: str = "feats") -> np.ndarray:
    """``features`` as contiguous (N, D) float32. Raises FeatureError unless N, D ≥ 1 and all are finite."""
    features = np.asarray(features)
    if features.dtype.kind != "f":
        raise FeatureError(f"{name} must be floats and is {features.dtype}")
    if features.ndim != 2 or 0 in features.shape:
        raise FeatureError(f"{name} must have shape (N, D) with N and D at least 1 and has {features.shape}")
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(features, dtype=np.float32)
    # min and max see every NaN and infinity, without a second array of N × D
    wrong = ~np.isfinite(features.min(axis=1)) | ~np.isfinite(features.max(axis=1))
    if wrong.any():
        raise FeatureError(
            f"{name} has NaN or infinity in {wrong.sum()} of {len(wrong)} rows, the first is row {wrong.argmax()}"
        )
    return features


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FeatureError("there is no such file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in _ARRAYS if name not in archive.files]
            if missing:
                raise FeatureError(
                    f"{' and '.join(missing)} missing, found {', '.join(archive.files) or 'nothing'}"
                )
            return {name: archive[name] for name in _ARRAYS}
    except FeatureError:
        raise
    except (AttributeError, TypeError):
        # a lone .npy array is no archive to enter
        raise FeatureError("this is no npz archive") from None
    except _UNREADABLE as error:
        raise FeatureError(f"this cannot be read as an npz archive of plain arrays ({error})") from None


def _checked_labels(labels: np.ndarray, count: int, name: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise FeatureError(f"{name} must be integers and is {labels.dtype}")
    if labels.shape != (count,):
        raise FeatureError(f"{name} must have shape ({count},), one a feature, and has {labels.shape}")
    return labels.astype(np.int64, copy=False)


def _subset(whole: FeatureSet, rows: np.ndarray) -> FeatureSet:
    return FeatureSet(whole.features[rows], whole.pids[rows], whole.camids[rows])
