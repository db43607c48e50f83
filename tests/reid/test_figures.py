"""What is drawn of a search: against all pairs, closed forms and hand-made cases."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid import figures
from reid.datasets.base import Crop
from reid.features import FeatureError, FeatureSet, l2_normalized
from reid.metrics import Retrieval, evaluate, identity_density
from reid.ranked_lists import ranked_lists
from reports.content import Dots, Histogram, Pictures, Scatter

Pair = tuple[FeatureSet, FeatureSet]


def pair(seed: int = 0, noise: float = 0.5, people: int = 12) -> Pair:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(people + 1, 16))
    made = []
    for count in (60, 240):
        pids = rng.integers(1 if count == 60 else -1, people, count)
        features = centres[pids] + noise * rng.normal(size=(count, 16))
        made.append(FeatureSet(features, pids, rng.integers(1, 4, count)))
    return made[0], made[1]


def all_pairs(query: FeatureSet, gallery: FeatureSet) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the same person under other cameras, and of different people."""
    q, g = l2_normalized(query.features), l2_normalized(gallery.features)
    distances = np.linalg.norm(q[:, None] - g[None], axis=2)
    same = query.pids[:, None] == gallery.pids[None]
    own = same & (query.camids[:, None] == gallery.camids[None])
    return distances[same & ~own], distances[~same & (gallery.pids != -1)[None]]


def test_distances_of_one_person_are_all_there() -> None:
    sets = {"before": pair(), "after": pair(noise=0.2)}
    drawn = figures.distances(sets)
    for name, one in sets.items():
        same, different = all_pairs(*one)
        for distribution, values, precision in zip(
            drawn.panels[name], (same, different), (1e-9, 0.01), strict=True
        ):
            assert sum(distribution.shares) == pytest.approx(1)
            expected = np.histogram(values, drawn.edges)[0] / len(values)
            assert distribution.shares == pytest.approx(expected, abs=precision)
    assert f"Of {len(all_pairs(*sets['before'])[0])} and " in drawn.note


def test_the_note_tells_the_area_under_the_roc_curve() -> None:
    from scipy.stats import mannwhitneyu

    one = pair(noise=1.0)
    same, different = all_pairs(*one)
    area = 1 - mannwhitneyu(same, different).statistic / (len(same) * len(different))
    told = float(figures.distances({"before": one}).note.split(" %")[0].split()[-1])
    assert told == pytest.approx(100 * area, abs=0.3)


def test_drawn_pairs_stand_for_all_and_come_from_the_seed() -> None:
    sets = {"before": pair()}
    whole, few = figures.distances(sets, bins=8), figures.distances(sets, pairs=400, bins=8)
    for all_of_them, some in zip(whole.panels["before"], few.panels["before"], strict=True):
        assert some.shares == pytest.approx(all_of_them.shares, abs=0.12)
    assert figures.distances(sets, pairs=400) == figures.distances(sets, pairs=400)
    assert figures.distances(sets, pairs=400) != figures.distances(sets, pairs=400, seed=1)


def test_distances_are_measured_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = {"before": pair()}
    whole = figures.distances(sets)
    monkeypatch.setattr("reid.figures._CHUNK", 4 * 16 * 7)
    assert figures.distances(sets) == whole


def test_what_the_protocol_hides_is_not_measured() -> None:
    features = np.eye(4, dtype=np.float32)
    query = FeatureSet(features, np.array([1, 2, 3, 4]), np.array([1, 1, 1, 1]))
    drawn = figures.distances({"before": (query, query)})
    assert "Of 0 and " in drawn.note and "nearer" not in drawn.note
    assert figures.distances({"before": (query, query)}, rule="none").note.startswith(
        "A pair of the same person"
    )


def test_features_that_are_all_alike_have_a_histogram() -> None:
    one = FeatureSet(np.ones((6, 4)), np.array([1, 1, 2, 2, 3, 3]), np.array([1, 2, 1, 2, 1, 2]))
    drawn = figures.distances({"before": (one, one)})
    assert np.all(np.diff(drawn.edges) > 0)
    assert "50.0 %" in drawn.note


def test_densities_of_identities_add_up_to_the_published_one() -> None:
    sets = {"before": pair(), "after": pair(noise=0.1)}
    drawn = figures.density(sets)
    pids = np.concatenate([one.pids for one in sets["before"]])
    assert [item.values[0] for item in drawn.items] == sorted(item.values[0] for item in drawn.items)
    for place, (query, gallery) in enumerate(sets.values()):
        owners = np.concatenate([query.pids, gallery.pids])
        features = np.concatenate([query.features, gallery.features])[owners > 0]
        whole = identity_density(features, owners[owners > 0])
        weighted = sum(
            item.values[place] * np.sum(owners == int(item.label.split()[1])) for item in drawn.items
        )
        assert weighted / np.sum(owners > 0) == pytest.approx(whole.mean())
    assert len(drawn.items) == len(np.unique(pids[pids > 0]))
    assert "denser after for 11 of them" in drawn.note


def test_a_map_of_a_plane_is_the_plane() -> None:
    # on a circle in some plane of space: length 1 as they are, and two dimensions hold all
    rng = np.random.default_rng(3)
    turned, _ = np.linalg.qr(rng.normal(size=(9, 2)))
    angle = rng.uniform(0, 2 * np.pi, 40)
    features = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ turned.T
    one = FeatureSet(features, np.repeat(np.arange(1, 9), 5), np.ones(40, dtype=int))
    drawn = figures.identity_map({"before": (one, one)}, identities=8)
    assert [cloud.name for cloud in drawn.panels["before"]] == [f"identity {p}" for p in range(1, 9)]
    points = np.array([p for cloud in drawn.panels["before"] for p in cloud.points])
    assert len(points) == 80
    centred = points - points.mean(axis=0)
    spread = np.linalg.norm(features - features.mean(axis=0), axis=1)
    assert np.sort(np.linalg.norm(centred, axis=1)) == pytest.approx(np.sort(np.repeat(spread, 2)), abs=1e-6)
    shares = [int(title.split(" %")[0].split()[-1]) for title in (drawn.x_title, drawn.y_title)]
    assert sum(shares) in (99, 100, 101)


def test_both_panels_of_a_map_have_the_same_axes_and_crops() -> None:
    before = pair()
    drawn = figures.identity_map({"before": before, "after": before}, identities=5, crops=7)
    assert len(drawn.panels["before"]) == 5
    assert all(len(cloud.points) == 7 for cloud in drawn.panels["before"])
    for one, other in zip(drawn.panels["before"], drawn.panels["after"], strict=True):
        assert np.array(one.points) == pytest.approx(np.array(other.points), abs=1e-6)
    other_set = figures.identity_map({"before": before, "after": pair(noise=0.1)}, identities=5, crops=7)
    names = [[cloud.name for cloud in clouds] for clouds in other_set.panels.values()]
    assert names[0] == names[1]
    assert figures.identity_map({"before": before}) == figures.identity_map({"before": before})


def test_a_map_shows_no_junk_and_no_distractors() -> None:
    nobody = FeatureSet(np.eye(3), np.array([0, -1, 0]), np.array([1, 1, 1]))
    with pytest.raises(FeatureError, match="nobody"):
        figures.identity_map({"before": (nobody, nobody)})
    lone = FeatureSet(np.eye(3), np.array([5, -1, 0]), np.array([1, 1, 1]))
    drawn = figures.identity_map({"before": (lone, nobody)})
    assert [(c.name, len(c.points)) for c in drawn.panels["before"]] == [("identity 5", 1)]


def retrieval(precision: list[float]) -> Retrieval:
    count = len(precision)
    return Retrieval(
        queries=np.arange(10, 10 + count),
        average_precision=np.array(precision),
        inverse_penalty=np.ones(count),
        first_rank=np.ones((count, 1), dtype=np.int64),
        share=np.ones((count, 1)),
        left_out=0,
    )


def test_the_queries_to_look_at_are_the_extremes_and_some_others() -> None:
    before, after = retrieval([0.5] * 6), retrieval([0.5, 0.9, 0.1, 0.6, 0.5, 0.3])
    chosen = figures.telling_queries(before, after, gains=2, losses=2, drawn=1)
    assert list(chosen)[:4] == [11, 13, 12, 15]
    assert chosen[11] == "gains most, AP 50.0 before and 90.0 after"
    assert chosen[12] == "loses most, AP 50.0 before and 10.0 after"
    assert len(chosen) == 5 and set(chosen) - {11, 12, 13, 15} <= {10, 14}
    # nobody who did not gain is said to have gained
    assert list(figures.telling_queries(before, before, drawn=0)) == []
    assert set(figures.telling_queries(before, drawn=6).values()) == {"drawn at random, AP 50.0"}


def crop(path: Path, pid: int = 1, camid: int = 1) -> Crop:
    return Crop(path.name, path, pid, camid)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 128), (50, 100)), ((32, 64), (50, 100)), ((1000, 10), (200, 2)), ((1, 900), (1, 100))],
)
def test_a_thumbnail_is_as_high_as_asked(
    size: tuple[int, int], expected: tuple[int, int], tmp_path: Path
) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    image = Image.open(io.BytesIO(figures.thumbnail(crop(tmp_path / "a.png"), 100)))
    assert (image.format, image.size) == ("JPEG", expected)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xd8\xffnothing"])
def test_a_crop_that_cannot_be_read_is_grey(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    image = Image.open(io.BytesIO(figures.thumbnail(crop(tmp_path / "a.jpg"), 80)))
    assert image.size == (40, 80)
    assert image.getextrema() == ((128, 128),) * 3


def test_everything_of_a_search_on_real_crops(shared: Path) -> None:
    root = shared / "reid" / "motreid"
    crops, sets = [], []
    for folder, step in (("query", 20), ("bounding_box_test", 4)):
        files = sorted((root / folder).iterdir())[::step]
        crops.append([crop(f, int(f.name[:4]), int(f.name[6])) for f in files])
        features = np.stack(
            [np.asarray(Image.open(f).convert("RGB").resize((4, 8)), dtype=np.float32).ravel() for f in files]
        )
        labels = np.array([[c.pid, c.camid] for c in crops[-1]])
        sets.append(FeatureSet(features - 128, labels[:, 0], labels[:, 1]))
    raw = (sets[0], sets[1])
    dull = tuple(FeatureSet(np.abs(one.features), one.pids, one.camids) for one in raw)
    both = {"before": raw, "after": (dull[0], dull[1])}
    retrievals = [evaluate(*one) for one in both.values()]
    made = figures.search_figures(both, crops=(crops[0], crops[1]), retrievals=retrievals)
    assert [type(figure) for figure in made] == [Histogram, Dots, Scatter, Pictures]
    shown = made[-1]
    assert isinstance(shown, Pictures)
    assert 3 <= len(shown.rows) <= 9
    chosen = figures.telling_queries(*retrievals)
    lists = ranked_lists(*raw, list(chosen))
    for row, index, items in zip(shown.rows, chosen, lists, strict=True):
        assert row.lead is not None and row.lead.name == crops[0][index].id
        strip = row.strips["before"]
        assert len(strip) == 10
        for picture, item in zip(strip, [i for i in items if i.rank], strict=True):
            assert picture.name == crops[1][item.index].id
            right = crops[1][item.index].pid == crops[0][index].pid
            assert picture.frame == ("right" if right else "wrong")
            assert picture.caption == str(item.rank)
            assert picture.file.startswith(b"\xff\xd8")
    assert len(figures.search_figures({"before": raw})) == 3
