"""The places that the drawn cameras look at, what stands in the way, and what the cameras make of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid.datasets.drawing.strokes import HEIGHT, WIDTH


@dataclass(frozen=True)
class Camera:
    """kind: of place. gain: (R, G, B). gamma, contrast, lift: of the tone curve. blur: σ in pixels. noise: σ of [0, 1].

    pitch, light: see ``Pose``.
    """

    kind: str
    gain: tuple[float, float, float]
    gamma: float
    contrast: float
    lift: float
    blur: float
    noise: float
    pitch: float
    light: float


CAMERAS = (
    Camera("street", (1.00, 1.00, 1.00), 1.00, 1.00, 0.00, 0.45, 0.010, 0.12, 0.6),
    Camera("wall", (1.06, 1.00, 0.91), 1.05, 0.96, 0.01, 0.55, 0.014, 0.20, -0.7),
    Camera("lawn", (0.97, 1.03, 0.97), 0.95, 1.04, 0.00, 0.50, 0.011, 0.08, 0.2),
    Camera("hall", (0.92, 0.99, 1.08), 1.14, 0.92, 0.02, 0.65, 0.019, 0.28, 0.0),
    Camera("plaza", (1.03, 1.02, 1.00), 0.88, 0.97, 0.04, 0.50, 0.010, 0.24, 0.9),
    Camera("shop", (1.02, 0.97, 1.01), 1.08, 0.99, 0.01, 0.75, 0.017, 0.16, -0.4),
)

OBSTACLES = ("car", "hedge", "pillar", "sign")

FADED = 0.3
"""Contrast that is left to a place. Where it is vivid, an ImageNet network's features tell the place, and hardly
anybody is found under another camera: EfficientNet-Lite0's mAP is then 17 instead of 42."""


def background(camera: Camera, random: np.random.RandomState) -> np.ndarray:
    """(H, W, 3) float32: the camera's place, where somebody has walked to another spot of it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    shift = random.uniform(0, 200)
    horizon = _HORIZONS[camera.kind] + random.uniform(-5, 5)
    ground = y > horizon
    depth = np.clip((y - horizon) / (HEIGHT - horizon), 0.02, 1)  # 0 far, 1 near
    across = (x - WIDTH / 2) / (0.35 + depth) + shift
    canvas = np.empty((HEIGHT, WIDTH, 3))
    far, near = _PLACES[camera.kind]
    canvas[:] = np.where(ground[..., None], np.array(near) * (0.82 + 0.25 * depth[..., None]), far)
    walls = x + shift
    if camera.kind == "street":
        windows = (~ground) & (walls % 26 < 15) & ((y - horizon) % 22 < 13)
        canvas[windows] *= 0.62
        canvas[ground & (across % 90 < 5)] += 0.22
    elif camera.kind == "wall":
        joints = (~ground) & (((y % 9) < 1.2) | ((walls + 9 * (np.floor(y / 9) % 2)) % 18 < 1.2))
        canvas[joints] *= 1.18
    elif camera.kind == "lawn":
        trunks = (~ground) & (walls % 47 < 6)
        canvas[trunks] = (0.29, 0.23, 0.18)
        canvas[ground & (np.abs(across - shift) < 22)] = (0.60, 0.57, 0.52)
    elif camera.kind == "hall":
        canvas[(~ground) & (walls % 52 < 22) & (y > horizon - 40)] = (0.42, 0.36, 0.31)
        canvas[ground & (((across % 24) < 1.4) | ((np.sqrt(depth) * 9 % 1) < 0.08))] *= 0.86
    elif camera.kind == "plaza":
        tiles = (np.floor(across / 17) + np.floor(np.sqrt(depth) * 11)) % 2 == 0
        canvas[ground & tiles] *= 0.90
    else:
        panes = (~ground) & (walls % 40 < 34) & (y > 8)
        canvas[panes] = (0.34, 0.38, 0.42)
        goods = panes & ((walls * 0.37).astype(int) % 5 == 0) & (y > horizon - 34)
        canvas[goods] = (0.66, 0.43, 0.33)
    canvas *= (1 + 0.09 * _clouds(random, 6) + 0.04 * _clouds(random, 32))[..., None]
    return (0.55 + FADED * (canvas - 0.55)).astype(np.float32)


def shadow(canvas: np.ndarray, feet: tuple[float, float], size: float, light: float) -> None:
    """Darkens the ground at somebody's feet, in place."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    far = np.hypot((x - feet[0] + 0.1 * size * light) / (0.22 * size), (y - feet[1]) / (0.05 * size))
    canvas *= (1 - 0.45 * np.clip(1.3 - far, 0, 1))[..., None].astype(np.float32)


def obstacle(canvas: np.ndarray, kind: str, random: np.random.RandomState) -> None:
    """Puts something before whoever is there, in place: a car, a hedge, a pillar, a sign."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    body = random.uniform(0.2, 0.75) + random.uniform(-0.15, 0.15, 3)
    if kind == "car":
        top = random.uniform(70, 90)
        middle = random.uniform(-10, 74)
        roof = (y > top) & (np.abs(x - middle) < 34 + 0.5 * (y - top))
        canvas[roof] = (0.24, 0.28, 0.32)
        canvas[y > top + 14] = body
        canvas[(np.abs(y - top - 17) < 1.2)] = 0.55 * body
        wheel = np.hypot(x - middle - 24, y - 124) < 11
        canvas[wheel] = (0.07, 0.07, 0.08)
    elif kind == "hedge":
        leaves = y > random.uniform(76, 98) + 6 * _clouds(random, 8)
        green = np.array([0.17, 0.30, 0.13]) * (1 + 0.55 * _clouds(random, 32))[..., None]
        canvas[leaves] = green[leaves]
    elif kind == "pillar":
        middle, half = random.uniform(4, 60), random.uniform(5, 9)
        shade = (0.58 - 0.22 * ((x - middle) / half) ** 2)[..., None] * np.array([1.0, 0.98, 0.95])
        inside = np.abs(x - middle) < half
        canvas[inside] = shade[inside]
    else:
        left, above = random.uniform(2, 30), random.uniform(52, 74)
        canvas[(np.abs(x - left - 15) < 16) & (y > above) & (y < above + 34)] = body
        canvas[(np.abs(x - left - 15) < 13) & (np.abs(y - above - 12) < 3)] = 1 - 0.6 * body
        canvas[(np.abs(x - left - 15) < 1.5) & (y >= above + 34)] = (0.3, 0.3, 0.32)


def expose(canvas: np.ndarray, camera: Camera, random: np.random.RandomState) -> np.ndarray:
    """What the camera makes of it: (H, W, 3) uint8. Its exposure, blur and noise differ a little each time."""
    soft = camera.blur * random.uniform(0.8, 1.4)
    light = _blurred(np.clip(canvas, 0, 1), soft) * np.array(camera.gain) * random.uniform(0.86, 1.12)
    toned = np.clip(light, 0, 1) ** (camera.gamma * random.uniform(0.92, 1.08))
    toned = 0.5 + camera.contrast * (toned - 0.5) + camera.lift
    toned += camera.noise * random.normal(size=toned.shape) * (0.6 + 0.4 * np.sqrt(np.clip(toned, 0, 1)))
    return np.round(255 * np.clip(toned, 0, 1)).astype(np.uint8)


_PLACES = {
    "street": ((0.60, 0.56, 0.52), (0.46, 0.46, 0.47)),
    "wall": ((0.56, 0.36, 0.28), (0.52, 0.50, 0.47)),
    "lawn": ((0.30, 0.40, 0.24), (0.34, 0.48, 0.22)),
    "hall": ((0.72, 0.70, 0.66), (0.56, 0.54, 0.52)),
    "plaza": ((0.66, 0.69, 0.72), (0.66, 0.63, 0.59)),
    "shop": ((0.48, 0.45, 0.42), (0.50, 0.48, 0.47)),
}
"""What is far and what is near: the wall or the trees, and the ground."""

_HORIZONS = {"street": 38, "wall": 84, "lawn": 30, "hall": 52, "plaza": 16, "shop": 70}
"""The row where the ground begins."""


def _clouds(random: np.random.RandomState, cells: int) -> np.ndarray:
    """(H, W) smooth noise of about unit size, with ``cells`` across the height."""
    values = random.normal(size=(cells + 2, cells // 2 + 2))
    rows = np.arange(HEIGHT) * cells / HEIGHT
    columns = np.arange(WIDTH) * (cells // 2) / WIDTH
    i, j = rows.astype(int), columns.astype(int)
    v, u = _smooth(rows - i)[:, None], _smooth(columns - j)[None]
    near = values[i][:, j] * (1 - u) + values[i][:, j + 1] * u
    far = values[i + 1][:, j] * (1 - u) + values[i + 1][:, j + 1] * u
    return near * (1 - v) + far * v


def _smooth(t: np.ndarray) -> np.ndarray:
    return t * t * (3 - 2 * t)


def _blurred(canvas: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian's seven taps, down and across."""
    taps = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        pad = [(3, 3) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(canvas, pad, mode="edge")
        length = canvas.shape[axis]
        canvas = sum(t * np.take(padded, np.arange(i, i + length), axis=axis) for i, t in enumerate(taps))
    return canvas
