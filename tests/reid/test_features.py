"""Feature sets: what is taken, what is refused and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid.features import FeatureError, FeatureSet, l2_normalized, read_npz


def arrays(**changes: Any) -> dict[str, Any]:
    """A sound file's arrays: 2 queries, then 3 gallery items."""
    sound = {
        "feats": np.arange(20, dtype=np.float32).reshape(5, 4),
        "pids": np.array([1, 2, 1, 2, -1]),
        "camids": np.array([1, 1, 2, 2, 3]),
        "is_query": np.array([True, True, False, False, False]),
    }
    return {name: value for name, value in (sound | changes).items() if value is not None}


def saved(folder: Path, **changes: Any) -> Path:
    path = folder / "set.npz"
    np.savez(path, **arrays(**changes))
    return path


def test_query_and_gallery_come_apart(tmp_path: Path) -> None:
    query, gallery = read_npz(saved(tmp_path))
    assert query.features.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert (query.pids.tolist(), query.camids.tolist()) == ([1, 2], [1, 1])
    assert (len(gallery), gallery.pids.tolist(), gallery.camids.tolist()) == (3, [1, 2, -1], [2, 2, 3])


def test_types_are_brought_to_float32_and_int64(tmp_path: Path) -> None:
    path = saved(tmp_path, feats=np.ones((5, 4), np.float16), pids=np.arange(5, dtype=np.int16))
    query, gallery = read_npz(path)
    assert {query.features.dtype, gallery.features.dtype} == {np.dtype(np.float32)}
    assert {gallery.pids.dtype, gallery.camids.dtype} == {np.dtype(np.int64)}


def _spoilt(value: float) -> np.ndarray:
    feats = np.ones((5, 4))
    feats[3, 2] = value
    return feats


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"feats": None}, "feats missing"),
        ({"pids": None, "camids": None}, "pids and camids missing"),
        ({"is_query": None}, "is_query missing"),
        ({"feats": np.ones(5)}, "shape"),
        ({"feats": np.ones((5, 0))}, "shape"),
        ({"feats": np.ones((0, 4)), "pids": np.ones(0, int)}, "shape"),
        ({"feats": np.ones((5, 4), int)}, "int64"),
        ({"feats": np.ones((5, 4), complex)}, "complex"),
        ({"feats": _spoilt(np.nan)}, "row 3"),
        ({"feats": _spoilt(-np.inf)}, "row 3"),
        ({"feats": _spoilt(1e300)}, "row 3"),  # finite, but not as float32
        ({"pids": np.arange(4)}, "pids"),
        ({"pids": np.ones((5, 1), int)}, "pids"),
        ({"pids": np.array(["a"] * 5)}, "pids"),
        ({"camids": np.full(5, 0.5)}, "camids"),
        ({"is_query": np.array([1, 1, 0, 0, 0])}, "is_query"),
        ({"is_query": np.array([True, False])}, "is_query"),
        ({"is_query": np.ones(5, bool)}, "gallery is empty"),
        ({"is_query": np.zeros(5, bool)}, "query is empty"),
        ({"feats": np.array([[object()] * 4] * 5)}, "plain arrays"),  # would need unpickling
    ],
)
def test_a_bad_set_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    path = saved(tmp_path, **changes)
    with pytest.raises(FeatureError) as error:
        read_npz(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert word in message
    assert "\n" not in message


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path).read_bytes()
    lone = tmp_path / "lone.npy"
    np.save(lone, np.ones(3))
    contents = {"empty": b"", "text": b"hello", "cut": whole[: len(whole) // 2], "lone": lone.read_bytes()}
    for name, content in contents.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(FeatureError, match=name):
            read_npz(path)
    for path in (tmp_path / "absent.npz", tmp_path):
        with pytest.raises(FeatureError, match="no such file"):
            read_npz(path)


def test_no_damaged_byte_gets_past_as_another_error(tmp_path: Path) -> None:
    whole = bytearray(saved(tmp_path).read_bytes())
    path = tmp_path / "damaged.npz"
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(len(whole), size=400):
        damaged = whole.copy()
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_npz(path)
        except FeatureError:
            refused += 1
    assert refused > 200  # most bytes are under a checksum


def test_a_set_checks_its_own_labels() -> None:
    with pytest.raises(FeatureError, match="camids"):
        FeatureSet(np.ones((3, 2)), np.arange(3), np.arange(2))


def test_rows_have_length_one_at_any_scale() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 50))
    scaled = (rows * np.array([1e-37, 1e-6, 1, 1e3, 1e18, 1e37])[:, None]).astype(np.float32)
    expected = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(l2_normalized(scaled), expected, atol=1e-6)


def test_zero_rows_stay_zero() -> None:
    made = l2_normalized(np.array([[0.0, 0.0], [3.0, -4.0], [-0.0, 0.0]]))
    np.testing.assert_allclose(made, [[0, 0], [0.6, -0.8], [0, 0]], atol=1e-7)


def test_normalising_leaves_what_it_was_given() -> None:
    given = np.full((2, 2), 5, dtype=np.float32)
    l2_normalized(given)
    assert (given == 5).all()


def test_normalising_is_torchs_to_the_last_bit() -> None:
    """What the published programs call; but rows that it makes infinite or leaves short have length 1 here."""
    rows = (np.random.default_rng(0).normal(size=(50, 768)) * 37).astype(np.float32)
    expected = torch.nn.functional.normalize(torch.from_numpy(rows)).numpy()
    np.testing.assert_array_equal(l2_normalized(rows), expected)
    for scale in (1e30, 1e-30):
        made = l2_normalized(np.concatenate([rows[:1] * np.float32(scale), rows[1:2]]))
        np.testing.assert_allclose(made, expected[:2], atol=1e-6)
        np.testing.assert_array_equal(made[1], expected[1])
