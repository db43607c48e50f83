"""Nearest neighbours, against distances written out in float64; faiss's path against torch's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mpq.errors import UserError
from reid import flat_index, published
from reid.features import FeatureError
from reid.neighbors import distance_blocks, nearest


@pytest.fixture(params=["torch", "faiss"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both ways to search; faiss's takes the GPU where there is one, and the same steps on the CPU where not."""
    if request.param == "faiss":
        pytest.importorskip("faiss", reason="faiss is not installed here")
    return str(request.param)


def brute_force(
    queries: np.ndarray, gallery: np.ndarray, k: int, itself: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances and indices by a full table in float64 and a stable sort."""
    table = ((queries[:, None].astype(float) - gallery[None].astype(float)) ** 2).sum(axis=2)
    if itself:
        np.fill_diagonal(table, np.inf)
    order = np.argsort(table, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(table, order, axis=1), order


def whole_numbers(count: int, size: int = 4, span: int = 3, seed: int = 0) -> np.ndarray:
    """Rows of small whole numbers: distances are exact in float32, and full of ties."""
    return np.random.default_rng(seed).integers(-span, span + 1, (count, size)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 7, 40, 200])
@pytest.mark.parametrize("itself", [False, True])
@pytest.mark.parametrize("memory", [1, 1000, 2**28])
def test_equals_brute_force_ties_and_all(k: int, itself: bool, memory: int, engine: str) -> None:
    gallery = whole_numbers(61)
    queries = gallery if itself else whole_numbers(37, seed=1)
    expected, order = brute_force(queries, gallery, min(k, len(gallery) - itself), itself)
    distances, indices = nearest(queries, gallery, k, exclude_self=itself, engine=engine, memory=memory)  # type: ignore[arg-type]
    assert distances.shape == indices.shape == order.shape  # k is capped at what there is
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(distances, expected)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_real_valued_distances(scale: float, engine: str) -> None:
    rng = np.random.default_rng(2)
    queries, gallery = rng.normal(size=(50, 128)) * scale, rng.normal(size=(300, 128)) * scale
    expected, _ = brute_force(queries.astype(np.float32), gallery.astype(np.float32), 9)
    distances, indices = nearest(queries, gallery, 9, engine=engine)  # type: ignore[arg-type]
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    there = ((queries[:, None] - gallery[indices]) ** 2).sum(axis=2)
    np.testing.assert_allclose(distances, there, rtol=1e-5)  # each distance is that of its index


def test_inner_products_come_largest_first(engine: str) -> None:
    queries, gallery = whole_numbers(20, seed=3), whole_numbers(70, seed=4)
    products = queries @ gallery.T
    order = np.argsort(-products, axis=1, kind="stable")[:, :11]
    found, indices = nearest(queries, gallery, 11, metric="inner", engine=engine)  # type: ignore[arg-type]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(found, np.take_along_axis(products, order, axis=1))


def test_self_is_no_neighbour_however_long_the_features(engine: str) -> None:
    far = whole_numbers(30, span=1) * 1000 + np.arange(30, dtype=np.float32)[:, None] * 5000
    for metric in ("euclidean", "inner"):
        _, indices = nearest(far, far, 29, metric=metric, exclude_self=True, engine=engine)  # type: ignore[arg-type]
        assert all(sorted(row) == sorted(set(range(30)) - {i}) for i, row in enumerate(indices.tolist()))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-20])
def test_identical_features_come_by_index(value: float, engine: str) -> None:
    same = np.full((9, 33), value)
    distances, indices = nearest(same, same, 3, exclude_self=True, engine=engine, memory=1)  # type: ignore[arg-type]
    assert indices[[0, 1, 5, 8]].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 2], [0, 1, 2]]
    np.testing.assert_allclose(distances, 0, atol=1e-5)
    assert (distances >= 0).all()


def test_one_sample_has_no_neighbour_but_itself(engine: str) -> None:
    one = np.ones((1, 4))
    assert nearest(one, one, 2, exclude_self=True, engine=engine)[1].shape == (1, 0)  # type: ignore[arg-type]
    assert nearest(one, one, 2, engine=engine)[1].tolist() == [[0]]  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["euclidean", "inner"])
@pytest.mark.parametrize("copies", [1, 3, 40, 300])
def test_faiss_names_the_neighbours_that_torch_names(
    copies: int, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 300 times the same feature: more than faiss is asked for at once, and then more than it may be."""
    pytest.importorskip("faiss", reason="faiss is not installed here")
    monkeypatch.setattr(flat_index, "MOST", 200)
    features = np.random.default_rng(copies).normal(size=(600 // copies + 30, 48)).astype(np.float32)
    features = np.repeat(features, copies, axis=0)[:630]
    by_torch, by_faiss = (
        nearest(features, features, 5, metric=metric, exclude_self=True, engine=engine, memory=200_000)  # type: ignore[arg-type]
        for engine in ("torch", "faiss")
    )
    np.testing.assert_array_equal(by_faiss[1], by_torch[1])
    np.testing.assert_allclose(by_faiss[0], by_torch[0], atol=1e-4)


@pytest.mark.gpu
def test_faiss_on_a_gpu_names_the_neighbours_that_torch_names() -> None:
    if not flat_index.gpus():
        pytest.skip("needs a GPU, and faiss that finds it")
    features = np.random.default_rng(0).normal(size=(20_000, 512)).astype(np.float32)
    by_torch, by_faiss = (
        nearest(features, features, 5, exclude_self=True, engine=engine, memory=2**24)  # type: ignore[arg-type]
        for engine in ("torch", "auto")
    )
    assert (by_faiss[1] == by_torch[1]).all(axis=1).mean() > 0.999  # near-equal ones may come in either order
    np.testing.assert_allclose(by_faiss[0], by_torch[0], rtol=1e-5)


def test_without_faiss_the_cpu_does_it_unless_faiss_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)  # as where it is not installed
    flat_index.gpus.cache_clear()
    one = whole_numbers(9)
    assert nearest(one, one, 1)[1].ravel().tolist() == list(range(9))
    with pytest.raises(UserError, match="faiss is not installed"):
        nearest(one, one, 1, engine="faiss")
    flat_index.gpus.cache_clear()


@pytest.mark.parametrize("size", [16, 33, 512, 768])
def test_blocks_are_the_published_tables_and_identical_items_equally_far(size: int) -> None:
    features = np.random.default_rng(size).normal(size=(900, size)).astype(np.float32)
    table = published.distances(features, features)
    blocks = distance_blocks(features, features, memory=4 * 900 * 128)
    made = np.concatenate([block.numpy().copy() for _, block in blocks])
    np.testing.assert_allclose(made, table, atol=1e-6 * 2 * size)
    twice = np.repeat(features, 2, axis=0)
    for _, block in distance_blocks(features, twice, memory=4 * 1800 * 128):
        np.testing.assert_array_equal(block[:, ::2], block[:, 1::2])


def test_features_given_are_left_alone() -> None:
    given = whole_numbers(10)
    kept = given.copy()
    nearest(given, given, 2, exclude_self=True)
    np.testing.assert_array_equal(given, kept)


def test_bad_input_is_refused() -> None:
    good = np.ones((3, 2))
    with pytest.raises(FeatureError, match="gallery has NaN"):
        nearest(good, np.full((3, 2), np.nan), 1)
    with pytest.raises(FeatureError, match="2 dimensions"):
        nearest(good, np.ones((3, 5)), 1)
    with pytest.raises(FeatureError, match="themselves"):
        nearest(good, np.ones((4, 2)), 1, exclude_self=True)
    with pytest.raises(FeatureError, match="too long"):
        nearest(good, np.full((3, 2), 1e30), 1)
    with pytest.raises(ValueError, match="at least 1"):
        nearest(good, good, 0)


def test_memory_stays_within_its_limit() -> None:
    """A full table of 8,000² would be 256 MB; 16 MB are allowed, and the rest is small."""
    program = (
        "import resource, numpy as np, torch; torch.set_num_threads(1)\n"
        "from reid.neighbors import nearest\n"
        "x = np.random.default_rng(0).normal(size=(8000, 8)).astype(np.float32)\n"
        "nearest(x[:50], x[:50], 2)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "nearest(x, x, 2, exclude_self=True, memory=16 * 2**20)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    if sys.platform != "linux":
        pytest.skip("ru_maxrss is counted in KiB on Linux only")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 * 1024
