"""Limbs and other parts, painted onto a canvas with soft edges and a cylinder's shading."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

HEIGHT, WIDTH = 128, 64

Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(h, w) along a part in [0, 1] and across it in [−1, 1] -> (h, w, 3) RGB."""


def cylinder(colour: np.ndarray, light: float) -> Paint:
    """Darker towards the edges, and on the side away from the light (−1 left, 1 right)."""

    def paint(along: np.ndarray, across: np.ndarray) -> np.ndarray:
        return colour * (1.04 - 0.34 * across**2 + 0.16 * light * across)[..., None]

    return paint


def capsule(
    canvas: np.ndarray, start: np.ndarray, end: np.ndarray, first: float, last: float, paint: Paint
) -> None:
    """A limb from ``start`` to ``end``, (x, y) in pixels, with radii ``first`` and ``last``."""
    rows, columns, x, y = window(canvas, [start, end], max(first, last) + 2)
    if x.size == 0:
        return
    way = end - start
    length = max(float(np.hypot(*way)), 1e-3)
    along = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1]) / length**2, 0, 1)
    radius = first + (last - first) * along
    off_x, off_y = x - start[0] - along * way[0], y - start[1] - along * way[1]
    across = np.clip((off_x * way[1] - off_y * way[0]) / length / radius, -1, 1)
    if way[1] < 0:
        across = -across
    blend(canvas[rows, columns], np.clip(radius - np.hypot(off_x, off_y) + 0.5, 0, 1), paint(along, across))


def slab(
    canvas: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    first: float,
    last: float,
    paint: Paint,
    *,
    round: float = 1.5,
) -> None:
    """A part with flat ends, half as wide as ``first`` at its start and ``last`` at its end; corners rounded."""
    rows, columns, x, y = window(canvas, [start, end], max(first, last) + 2)
    if x.size == 0:
        return
    way = end - start
    length = max(float(np.hypot(*way)), 1e-3)
    far = ((x - start[0]) * way[0] + (y - start[1]) * way[1]) / length
    along = np.clip(far / length, 0, 1)
    half = np.maximum(first + (last - first) * along, 1e-3)
    side = ((x - start[0]) * way[1] - (y - start[1]) * way[0]) / length
    inner = min(round, float(half.min()), length / 2)
    over_x = np.abs(side) - half + inner
    over_y = np.abs(far - length / 2) - length / 2 + inner
    outside = np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0)) + np.minimum(
        np.maximum(over_x, over_y), 0
    )
    across = np.clip(side / half, -1, 1)
    if way[1] < 0:
        across = -across
    blend(canvas[rows, columns], np.clip(inner - outside + 0.5, 0, 1), paint(along, across))


def window(
    canvas: np.ndarray, points: Sequence[np.ndarray], margin: float
) -> tuple[slice, slice, np.ndarray, np.ndarray]:
    """The part of the canvas around points: rows, columns, and its pixels' x (1, w) and y (h, 1)."""
    low = np.floor(np.min(points, axis=0) - margin).astype(int)
    high = np.ceil(np.max(points, axis=0) + margin).astype(int)
    left, right = np.clip([low[0], high[0]], 0, canvas.shape[1])
    above, below = np.clip([low[1], high[1]], 0, canvas.shape[0])
    y, x = np.mgrid[above:below, left:right] + 0.5
    return slice(above, below), slice(left, right), x, y


def blend(part: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> None:
    part += cover[..., None] * (colour - part)
