"""IoU from sums: by hand, against torchmetrics, and what must hold whatever the masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpq.metrics.segmentation import class_counts, class_iou, jaccard_micro, mean_iou

TRUTH = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
PREDICTED = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)


def test_by_hand() -> None:
    # class 0: both at one pixel, either at three; class 1: 2 of 3; class 2: 0 of 1, and class 3 nowhere.
    counts = class_counts(TRUTH, PREDICTED, 4, 255)
    assert counts.intersections.tolist() == [1, 2, 0, 0]
    assert counts.unions.tolist() == [3, 3, 1, 0]
    assert (counts.correct, counts.labelled) == (3, 5)
    assert counts.intersections.dtype == counts.unions.dtype == np.int64
    assert mean_iou(counts.intersections, counts.unions) == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)
    assert class_iou(counts.intersections, counts.unions) == pytest.approx(
        [1 / 3, 2 / 3, 0, np.nan], nan_ok=True
    )
    assert jaccard_micro(counts.intersections, counts.unions) == pytest.approx(3 / 7)


def test_the_mean_over_a_data_set_is_not_the_mean_of_pictures() -> None:
    truths = [np.array([[0, 0, 0, 1]]), np.array([[1, 1, 1, 1]])]
    guesses = [np.array([[0, 0, 0, 0]]), np.array([[1, 1, 1, 1]])]
    each = [class_counts(t, p, 2, None) for t, p in zip(truths, guesses, strict=True)]
    both = class_counts(np.concatenate(truths), np.concatenate(guesses), 2, None)
    assert (each[0].intersections + each[1].intersections).tolist() == both.intersections.tolist()
    assert (each[0].unions + each[1].unions).tolist() == both.unions.tolist()
    assert mean_iou(both.intersections, both.unions) == pytest.approx((3 / 4 + 4 / 5) / 2)
    alone = [mean_iou(c.intersections, c.unions) for c in each]
    assert alone == [pytest.approx(3 / 8), 1]


def test_a_prediction_that_is_no_class_is_wrong_and_takes_from_none() -> None:
    truth, guess = np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 65_535, 65_535, 1]], np.uint16)
    counts = class_counts(truth, guess, 2, 255)
    assert counts.intersections.tolist() == [1, 1]
    assert counts.unions.tolist() == [2, 2]
    assert (counts.correct, counts.labelled) == (2, 4)


def test_a_picture_without_labels_scores_nothing() -> None:
    counts = class_counts(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), 3, 255)
    assert counts.labelled == 0
    assert mean_iou(counts.intersections, counts.unions) is None
    assert jaccard_micro(counts.intersections, counts.unions) is None


def test_masks_that_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        class_counts(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2, 255)
    with pytest.raises(ValueError, match="from 0 to 7"):
        class_counts(np.array([[0, 7]]), np.array([[0, 0]]), 2, 255)


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(0, 5, (2, 6, 7)).astype(np.uint8)
)


@given(masks)
@settings(max_examples=50, deadline=None)
def test_a_plain_loop_agrees(pair: np.ndarray) -> None:
    truth, guess = pair
    counts = class_counts(truth, guess, 4, 4) if guess.max() < 5 else None
    assert counts is not None
    for c in range(4):
        pixels = [(t == c, p == c) for t, p in zip(truth.ravel(), guess.ravel(), strict=True) if t != 4]
        assert counts.intersections[c] == sum(t and p for t, p in pixels)
        assert counts.unions[c] == sum(t or p for t, p in pixels)


@given(masks)
@settings(max_examples=30, deadline=None)
def test_a_mask_against_itself_is_perfect_and_order_does_not_matter(pair: np.ndarray) -> None:
    a, b = pair
    same = class_counts(a, a, 5, None)
    assert mean_iou(same.intersections, same.unions) == jaccard_micro(same.intersections, same.unions) == 1
    one, other = class_counts(a, b, 5, None), class_counts(b, a, 5, None)
    assert one.unions.tolist() == other.unions.tolist()
    accuracy = one.correct / one.labelled
    assert jaccard_micro(one.intersections, one.unions) == pytest.approx(accuracy / (2 - accuracy))


@pytest.mark.parametrize("ignored", [None, 3])
def test_torchmetrics_agrees(ignored: int | None) -> None:
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.classification")
    random = np.random.default_rng(1)
    truth = random.integers(0, 4, (3, 20, 30))
    guess = np.where(random.random(truth.shape) < 0.6, truth, random.integers(0, 3, truth.shape)) % 3
    counts = [class_counts(t, p, 4, ignored) for t, p in zip(truth, guess, strict=True)]
    intersections, unions = sum(c.intersections for c in counts), sum(c.unions for c in counts)

    def theirs(average: str, only: slice = slice(None)) -> np.ndarray:
        metric = classification.MulticlassJaccardIndex(4, average=average, ignore_index=ignored)
        return metric(torch.from_numpy(guess[only]), torch.from_numpy(truth[only])).numpy()

    present = unions > 0
    assert class_iou(intersections, unions)[present] == pytest.approx(theirs("none")[present], abs=1e-6)
    assert mean_iou(intersections, unions) == pytest.approx(theirs("none")[present].mean(), abs=1e-6)
    assert mean_iou(intersections, unions) == pytest.approx(float(theirs("macro")), abs=1e-6)
    first = jaccard_micro(counts[0].intersections, counts[0].unions)
    assert first == pytest.approx(float(theirs("micro", slice(0, 1))), abs=1e-6)
