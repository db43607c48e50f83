"""What is drawn: the literature's generator, and CUHK03's single gallery shots."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reid.protocols import draw_one_each, single_shot_trials


def test_draws_are_those_of_pythons_seeded_generator() -> None:
    # what CPython has answered since 3.2 to random.seed(s) and random.choice from twenty
    assert draw_one_each([20] * 6, 0) == [12, 13, 1, 8, 16, 15]
    assert draw_one_each([20] * 6, 1) == [4, 18, 2, 8, 3, 15]
    assert draw_one_each([20] * 6, 2) == [1, 2, 2, 11, 5, 9]


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(0, 20))
def test_draws_equal_the_published_procedure(sizes: list[int], trial: int) -> None:
    files = [[f"{group}/{i}" for i in range(size)] for group, size in enumerate(sizes)]
    random.seed(trial)
    published = [random.choice(group) for group in files]
    assert [g[i] for g, i in zip(files, draw_one_each(sizes, trial), strict=True)] == published


def test_drawing_leaves_everybodys_generator_alone() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    draw_one_each([3, 4], 0)
    assert random.random() == expected


PIDS = np.array([1, 1, 1, 2, 2, 2, 3, 3, 4, 4])
CAMIDS = np.array([1, 1, 2, 1, 2, 2, 1, 2, 1, 1])


def test_single_shots_go_from_each_camera_to_the_other() -> None:
    trials = single_shot_trials(PIDS, CAMIDS, PIDS, CAMIDS, people=[1, 2, 4], repeats=10)
    assert len(trials) == 20
    for place, trial in enumerate(trials):
        asked, searched = ((1, 2), (2, 1))[place % 2]
        everybody = np.flatnonzero(np.isin(PIDS, [1, 2, 4]) & np.equal(CAMIDS, asked))
        assert trial.query.tolist() == everybody.tolist()
        assert set(CAMIDS[trial.gallery]) == {searched}
        # person 4 was never under camera 2: nobody can find them there
        assert PIDS[trial.gallery].tolist() == ([1, 2] if searched == 2 else [1, 2, 4])


def test_single_shots_differ_from_repeat_to_repeat_and_not_from_run_to_run() -> None:
    def drawn(seed: int) -> list[list[int]]:
        trials = single_shot_trials(PIDS, CAMIDS, PIDS, CAMIDS, people=[1, 2, 4], seed=seed)
        return [trial.gallery.tolist() for trial in trials]

    assert drawn(0) == drawn(0)
    assert len({tuple(gallery) for gallery in drawn(0)[::2]}) == 2  # person 2 has two pictures under camera 2
    assert drawn(0) != drawn(77)
