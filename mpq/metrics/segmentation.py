"""How far a predicted mask is the true one: sums that add over pictures, and what is made of them.

Masks are (h, w) of class indices. The mean intersection over union (mIoU, Everingham et al. 2010) is that of the
sums over all pictures, as Pascal VOC, ADE20K and Cityscapes have it, and not the mean of pictures' own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """Pixels, of one picture or of many: add them field by field.

    intersections, unions: (C,) int64, of each class's true and predicted pixels. correct, labelled: of all
    pixels, those that are right, and those that are not ignored.
    """

    intersections: np.ndarray
    unions: np.ndarray
    correct: int
    labelled: int


def class_counts(truth: np.ndarray, predicted: np.ndarray, classes: int, ignored: int | None) -> Counts:
    """Counts over the pixels whose ``truth`` is not ``ignored``.

    truth, predicted: (h, w) of whole numbers. A prediction of ``classes`` or above is of none of the classes: it
    is wrong, and takes nothing from another class. Raises ValueError for masks of two sizes, and for a truth that
    is neither a class nor ignored.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"masks of {truth.shape} and {predicted.shape} cannot be compared")
    if ignored is not None:
        labelled = truth != ignored
        truth, predicted = truth[labelled], predicted[labelled]
    if truth.size and not 0 <= truth.min() <= truth.max() < classes:
        raise ValueError(f"a true mask has values from {truth.min()} to {truth.max()}, of {classes} classes")
    # One row a true class, one column a predicted one, and a last column for what is none.
    width = classes + 1
    cells = truth.astype(np.int64).ravel() * width + np.minimum(predicted, classes).astype(np.int64).ravel()
    confusion = np.bincount(cells, minlength=classes * width).reshape(classes, width)
    intersections = confusion.diagonal().astype(np.int64)
    unions = confusion.sum(axis=1) + confusion[:, :classes].sum(axis=0) - intersections
    return Counts(intersections, unions.astype(np.int64), int(intersections.sum()), int(confusion.sum()))


def class_iou(intersections: np.ndarray, unions: np.ndarray) -> np.ndarray:
    """(C,) float64 in [0, 1]; NaN for a class that is neither in truths nor in predictions."""
    return np.divide(intersections, unions, out=np.full(len(unions), np.nan), where=unions > 0)


def mean_iou(intersections: np.ndarray, unions: np.ndarray) -> float | None:
    """The mean of ``class_iou`` over classes with a union; None where no class has one."""
    present = unions > 0
    if not present.any():
        return None
    return float((intersections[present] / unions[present]).mean())


def jaccard_micro(intersections: np.ndarray, unions: np.ndarray) -> float | None:
    """Σ intersections / Σ unions over the classes of one picture; None for a picture without labelled pixels.

    This is what the last notebook of *Machine Perceptual Quality* (2024) averages over pictures. It is a function of
    the pixel accuracy a alone, a / (2 − a), wherever every prediction is a class, and knows nothing of rare classes.
    """
    total = int(unions.sum())
    return int(intersections.sum()) / total if total else None
