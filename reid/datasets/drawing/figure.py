"""A body in three dimensions, turned, projected and dressed.

Limbs are cylinders and the trunk is an elliptic one, so that prints, open jackets, faces and backpacks show from the
side that they are on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from reid.datasets.drawing.person import Person
from reid.datasets.drawing.strokes import Paint, blend, capsule, cylinder, slab, window


@dataclass(frozen=True)
class Pose:
    """How it stands: facing, in radians from the camera's direction; phase of the step; size and place in the crop.

    stride: how far a leg swings, radians. scale: the height of an average body, pixels. feet: (x, y) of the ground
    below it, pixels. pitch: how far the camera looks down, radians. light: where from, −1 left to 1 right.
    """

    facing: float
    phase: float
    stride: float
    scale: float
    feet: tuple[float, float]
    pitch: float
    light: float


def draw_figure(canvas: np.ndarray, person: Person, pose: Pose) -> None:
    """Paints ``person`` onto (H, W, 3) float32 RGB, in place."""
    place = _Projection(person, pose)
    order: list[tuple[float, Callable[[], None]]] = []
    for side in (-1, 1):
        order.append((place.depth(side) - 0.5, partial(_leg, canvas, person, place, side)))
        order.append((2.5 * place.depth(side), partial(_arm, canvas, person, place, side)))
    order.append((0.0, partial(_trunk, canvas, person, place)))
    order.append((0.001, partial(_head, canvas, person, place)))
    if person.hairdo == "long":
        order.append((-0.01 if place.cos > 0 else 0.002, partial(_long_hair, canvas, person, place)))
    if person.bag == "backpack":
        order.append((-0.2 * np.cos(pose.facing), partial(_backpack, canvas, person, place)))
    if person.bag == "shoulder":
        order.append((3 * place.depth(person.bag_side), partial(_shoulder_bag, canvas, person, place)))
    for _, paint in sorted(order, key=lambda item: item[0]):
        paint()


class _Projection:
    """Where points of the body come to lie in the crop.

    The body's own axes, in shares of its height: its right, up, forward; the ground is at 0.
    """

    def __init__(self, person: Person, pose: Pose) -> None:
        self.pose = pose
        self.size = pose.scale * person.height
        self.sin, self.cos = np.sin(pose.facing), np.cos(pose.facing)

    def __call__(self, right: float, up: float, forward: float) -> np.ndarray:
        """(x, y) in pixels. Who faces the camera has the right hand on the crop's left."""
        across = -right * self.cos + forward * self.sin
        near = right * self.sin + forward * self.cos
        x, y = self.pose.feet
        height = up * np.cos(self.pose.pitch) - near * np.sin(self.pose.pitch)
        return np.array([x + across * self.size, y - height * self.size])

    def depth(self, side: int) -> float:
        """How near the camera that side of the body is; 1 is the right."""
        return 0.1 * side * float(self.sin)

    def width(self, broad: float, deep: float) -> float:
        """Half the seen width, in pixels, of an elliptic part."""
        return float(np.hypot(broad * self.cos, deep * self.sin)) * self.size

    def around(self, across: np.ndarray) -> np.ndarray:
        """Where on the body's girth one looks: radians from its front."""
        angle = np.arcsin(np.clip(across, -1, 1)) - self.pose.facing
        return (angle + np.pi) % (2 * np.pi) - np.pi


def _leg(canvas: np.ndarray, person: Person, place: _Projection, side: int) -> None:
    step = place.pose.phase + (0 if side > 0 else np.pi)
    swing = place.pose.stride * np.sin(step)
    bend = 0.9 * place.pose.stride * max(0.0, float(np.cos(step)))
    hip = (0.052 * side * person.girth, 0.50, 0.0)
    knee = (hip[0], 0.50 - 0.235 * np.cos(swing), 0.235 * np.sin(swing))
    ankle = (hip[0], knee[1] - 0.235 * np.cos(swing - bend), knee[2] + 0.235 * np.sin(swing - bend))
    toe = (hip[0] * 1.25, ankle[1] - 0.03, ankle[2] + 0.085)
    size, light = place.size, place.pose.light
    bare, cloth = cylinder(person.skin, light), cylinder(person.trousers, light)
    thick = {"leggings": 0.85, "trousers": 1.05}.get(person.bottom, 0.95) * person.girth
    shin = bare if person.bottom in ("shorts", "skirt") or person.top == "dress" else cloth
    thigh = bare if person.bottom == "skirt" or person.top == "dress" else cloth
    end = 0.028 if shin is cloth and person.bottom == "trousers" else 0.021
    capsule(canvas, place(*toe), place(*ankle), 0.020 * size, 0.024 * size, cylinder(person.shoes, light))
    capsule(canvas, place(*knee), place(*ankle), 0.036 * thick * size, end * thick * size, shin)
    capsule(canvas, place(*hip), place(*knee), 0.056 * thick * size, 0.040 * thick * size, thigh)


def _arm(canvas: np.ndarray, person: Person, place: _Projection, side: int) -> None:
    carries = person.bag == "hand" and side == person.bag_side
    step = place.pose.phase + (0 if side > 0 else np.pi)
    swing = 0.0 if carries else -0.8 * place.pose.stride * np.sin(step)
    out = 0.118 * side * (0.6 + 0.4 * person.girth)
    shoulder = (out, 0.788, 0.0)
    elbow = (out * 1.18, 0.788 - 0.165 * np.cos(swing), 0.165 * np.sin(swing))
    lift = swing + (0.1 if carries else 0.35)
    wrist = (out * 1.20, elbow[1] - 0.150 * np.cos(lift), elbow[2] + 0.150 * np.sin(lift))
    hand = (wrist[0], wrist[1] - 0.025, wrist[2] + 0.01)
    size, light = place.size, place.pose.light
    bulk = {"coat": 1.2, "jacket": 1.15, "hoodie": 1.15}.get(person.top, 1.0)

    def paint(start: float) -> Paint:
        def at(along: np.ndarray, across: np.ndarray) -> np.ndarray:
            covered = (start + along < person.sleeve)[..., None]
            return cylinder(np.where(covered, person.colour, person.skin), light)(along, across)

        return at

    capsule(canvas, place(*wrist), place(*hand), 0.018 * size, 0.016 * size, cylinder(person.skin, light))
    capsule(canvas, place(*shoulder), place(*elbow), 0.034 * bulk * size, 0.028 * bulk * size, paint(0.0))
    capsule(canvas, place(*elbow), place(*wrist), 0.028 * bulk * size, 0.020 * bulk * size, paint(1.0))
    if carries:
        below = place(hand[0], hand[1] - 0.02, hand[2])
        bag = cylinder(person.bag_colour, light)
        slab(canvas, below, below + np.array([0, 0.11 * size]), 0.045 * size, 0.06 * size, bag)


def _trunk(canvas: np.ndarray, person: Person, place: _Projection) -> None:
    size, light = place.size, place.pose.light
    girth = 0.6 + 0.4 * person.girth
    long = {"coat": 0.30, "dress": 0.28}.get(person.top, 0.46)
    skin, trousers = cylinder(person.skin, light), cylinder(person.trousers, light)
    if person.bottom == "skirt" and person.top not in ("coat", "dress"):
        flare = place.width(0.115 * girth, 0.09 * girth)
        slab(canvas, place(0, 0.55, 0), place(0, 0.30, 0), 0.8 * flare, 1.25 * flare, trousers)
    elif person.top != "dress":
        hips = place.width(0.098 * girth, 0.075 * girth)
        slab(canvas, place(0, 0.55, 0), place(0, 0.45, 0), hips, 0.95 * hips, trousers)
    shoulders = place.width(0.118 * girth, 0.070 * person.girth)
    waist = place.width(0.094 * girth, 0.076 * person.girth) * (1.08 if person.top == "hoodie" else 1.0)
    hem = waist * {"coat": 1.15, "dress": 1.45}.get(person.top, 1.02)
    cloth = _clothing(person, place)
    if person.top in ("coat", "dress"):
        slab(canvas, place(0, 0.56, 0), place(0, long, 0), waist, hem, lambda t, u: cloth(0.6 + 0.4 * t, u))
        long = 0.54
    capsule(canvas, place(0, 0.80, 0), place(0, 0.88, 0), 0.036 * size, 0.032 * size, skin)
    slab(canvas, place(0, 0.835, 0), place(0, long, 0), shoulders, waist, cloth, round=0.075 * size)
    if person.top == "hoodie":
        hood = place(-0.03, 0.835, -0.03), place(0.03, 0.835, -0.03)
        capsule(canvas, *hood, 0.04 * size, 0.04 * size, cylinder(0.85 * person.colour, light))


def _clothing(person: Person, place: _Projection) -> Paint:
    first, second = person.colour, person.second

    def paint(along: np.ndarray, across: np.ndarray) -> np.ndarray:
        around = place.around(across)
        inside = np.zeros(along.shape, dtype=bool)
        if person.pattern == "open":
            inside = np.abs(around) < 0.30 + 0.12 * along
        elif person.pattern == "print":
            inside = (np.abs(around) < 0.45) & (np.abs(along - 0.38) < 0.14)
        elif person.pattern == "stripes":
            inside = np.floor(along * 9) % 2 == 1
        elif person.pattern == "checks":
            inside = (np.floor(along * 8) + np.floor(around * 3.2)) % 2 == 1
        elif person.pattern == "block":
            inside = along < 0.36
        elif person.pattern == "dots":
            inside = np.hypot(along * 10 % 1 - 0.5, around * 4 % 1 - 0.5) < 0.28
        shown = np.where(inside[..., None], second, first)
        if person.bag in ("backpack", "shoulder"):
            front = np.cos(around) > 0
            strap = np.abs(np.abs(around) - 0.62) < 0.13
            if person.bag == "shoulder":
                slope = person.bag_side * np.where(front, 1, -1) * np.sin(around) * 1.1
                strap = np.abs(along - 0.42 - 0.42 * slope) < 0.045
            shown = np.where(
                (strap & (front | (person.bag == "shoulder")))[..., None], 0.7 * person.bag_colour, shown
            )
        return cylinder(shown, place.pose.light)(along, across)

    return paint


def _head(canvas: np.ndarray, person: Person, place: _Projection) -> None:
    size, light = place.size, place.pose.light
    centre, radius = place(0, 0.935, 0.008), 0.062 * size
    hair = cylinder(person.hair, light)
    rows, columns, x, y = window(canvas, [centre], radius + 2)
    right, up = (x - centre[0]) / radius, (centre[1] - y) / (1.12 * radius)
    length = np.hypot(right, up)
    near = np.sqrt(np.clip(1 - length**2, 0, 1))
    forward = right * place.sin + near * place.cos
    sideways = right * place.cos - near * place.sin
    haired = {"bald": up > 9, "cap": up > 0.12}.get(
        person.hairdo, (up > 0.42) | ((forward < 0.05) & (up > -0.55)) | ((forward < 0.35) & (up > 0.2))
    )
    if person.hairdo == "long":
        haired |= forward < 0.15
    colour = np.where(
        haired[..., None], person.second if person.hairdo == "cap" else person.hair, person.skin
    )
    eyes = (np.abs(np.abs(sideways) - 0.36) < 0.14) & (np.abs(up - 0.06) < 0.10) & (forward > 0.3)
    colour = np.where((eyes & ~haired)[..., None], 0.25 * colour, colour)
    mouth = (np.abs(sideways) < 0.22) & (np.abs(up + 0.45) < 0.06) & (forward > 0.5)
    colour = np.where((mouth & ~haired)[..., None], colour * (0.8, 0.55, 0.55), colour)
    blend(
        canvas[rows, columns], np.clip((1 - length) * radius + 0.5, 0, 1), cylinder(colour, light)(up, right)
    )
    if person.hairdo == "cap" and place.cos > -0.3:
        brim = place(-0.03, 0.945, 0.075), place(0.03, 0.945, 0.075)
        capsule(canvas, *brim, 0.018 * size, 0.018 * size, cylinder(0.8 * person.second, light))
    if person.hairdo == "bun":
        bun = place(0, 0.985, -0.055)
        if place.cos < 0.4:
            capsule(canvas, bun, bun, 0.028 * size, 0.028 * size, hair)


def _long_hair(canvas: np.ndarray, person: Person, place: _Projection) -> None:
    size, hair = place.size, cylinder(person.hair, place.pose.light)
    top, end = place(0, 0.93, -0.02), place(0, 0.78, -0.05)
    slab(canvas, top, end, 0.060 * size, place.width(0.062, 0.045), hair, round=0.03 * size)


def _backpack(canvas: np.ndarray, person: Person, place: _Projection) -> None:
    size = place.size
    half = place.width(0.085, 0.05)
    pack = cylinder(person.bag_colour, place.pose.light)
    slab(canvas, place(0, 0.80, -0.10), place(0, 0.57, -0.12), half, 1.1 * half, pack, round=0.03 * size)
    if place.cos < 0:
        pocket = cylinder(0.75 * person.bag_colour, place.pose.light)
        slab(canvas, place(0, 0.67, -0.14), place(0, 0.59, -0.14), 0.6 * half, 0.6 * half, pocket)


def _shoulder_bag(canvas: np.ndarray, person: Person, place: _Projection) -> None:
    size, side = place.size, person.bag_side
    half = place.width(0.03, 0.075)
    bag = cylinder(person.bag_colour, place.pose.light)
    top, end = place(0.15 * side, 0.56, 0.0), place(0.15 * side, 0.42, 0.0)
    slab(canvas, top, end, half, 1.1 * half, bag, round=0.02 * size)
