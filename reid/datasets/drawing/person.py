"""Who is drawn: build, hair, clothes and bags, by lot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")

Colour = np.ndarray
"""(3,) RGB in [0, 1]."""

SKINS = ((0.96, 0.80, 0.69), (0.87, 0.67, 0.53), (0.72, 0.51, 0.38), (0.50, 0.34, 0.25), (0.35, 0.23, 0.17))
HAIRS = ((0.07, 0.06, 0.06), (0.16, 0.10, 0.07), (0.32, 0.20, 0.11), (0.66, 0.50, 0.28), (0.55, 0.54, 0.53))
# few enough that many people share the colour of a garment
TOPS = (
    (0.09, 0.09, 0.11), (0.13, 0.16, 0.28), (0.30, 0.31, 0.33), (0.90, 0.90, 0.88), (0.60, 0.13, 0.15),
    (0.18, 0.36, 0.62), (0.22, 0.43, 0.27), (0.85, 0.72, 0.25), (0.84, 0.51, 0.62), (0.47, 0.36, 0.27),
    (0.62, 0.75, 0.85), (0.87, 0.46, 0.18),
)  # fmt: skip
BOTTOMS = (
    (0.10, 0.10, 0.12), (0.16, 0.20, 0.34), (0.33, 0.42, 0.58), (0.62, 0.55, 0.44), (0.36, 0.36, 0.37),
    (0.85, 0.84, 0.81), (0.33, 0.25, 0.19),
)  # fmt: skip
SHOES = ((0.08, 0.08, 0.08), (0.88, 0.88, 0.86), (0.40, 0.27, 0.18), (0.60, 0.15, 0.15))


@dataclass(frozen=True)
class Person:
    """Who is drawn: build, hair and clothes. Lengths are shares of the body's height."""

    height: float
    girth: float
    skin: Colour
    hair: Colour
    hairdo: str
    top: str
    pattern: str
    colour: Colour
    second: Colour
    sleeve: float
    bottom: str
    trousers: Colour
    shoes: Colour
    bag: str
    bag_colour: Colour
    bag_side: int


def draw_person(random: np.random.RandomState) -> Person:
    """Somebody, drawn by lot."""
    top = _one(random, ("tee", "shirt", "shirt", "jacket", "jacket", "hoodie", "coat", "dress"))
    patterns = {
        "jacket": ("open", "open", "plain", "block"),
        "coat": ("plain", "plain", "open"),
        "dress": ("plain", "stripes", "dots"),
        "hoodie": ("plain", "print", "block"),
    }
    return Person(
        height=random.uniform(0.90, 1.05),
        girth=random.uniform(0.85, 1.25),
        skin=_tone(random, SKINS, 0.02),
        hair=_tone(random, HAIRS, 0.02),
        hairdo=_one(random, ("short", "short", "short", "long", "long", "bun", "bald", "cap")),
        top=top,
        pattern=_one(random, patterns.get(top, ("plain", "plain", "print", "stripes", "checks", "block"))),
        colour=_tone(random, TOPS, 0.04),
        second=_tone(random, TOPS, 0.04),
        sleeve={"tee": 0.55, "dress": _one(random, (0.4, 2.0))}.get(top, 2.0),
        bottom=_one(random, ("trousers", "trousers", "trousers", "leggings", "shorts", "skirt")),
        trousers=_tone(random, BOTTOMS, 0.03),
        shoes=_tone(random, SHOES, 0.02),
        bag=_one(random, ("none", "none", "none", "backpack", "backpack", "shoulder", "hand")),
        bag_colour=_tone(random, TOPS, 0.04),
        bag_side=_one(random, (-1, 1)),
    )


def _one(random: np.random.RandomState, choices: Sequence[T]) -> T:
    return choices[random.randint(len(choices))]


def _tone(
    random: np.random.RandomState, colours: Sequence[tuple[float, float, float]], spread: float
) -> Colour:
    return np.clip(np.array(colours[random.randint(len(colours))]) + random.uniform(-spread, spread, 3), 0, 1)
