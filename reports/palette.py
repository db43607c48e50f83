"""Colours that a page, its figures and its contact sheets share, told apart also by the colour-blind.

Each stands under a name, as a page in the light has it and as one in the dark has it. Series are told apart by
marks and dashes besides.
"""

from __future__ import annotations

COLOURS: dict[str, tuple[str, str]] = {
    "series-1": ("#1d5b9e", "#6bb3f2"),
    "series-2": ("#b03a26", "#d0693a"),
    "series-3": ("#2f9a8a", "#7ee0c4"),
    "series-4": ("#c8790f", "#e3d350"),
    "series-5": ("#9065c0", "#e58b9e"),
    "series-6": ("#38345f", "#8f74e0"),
    "ink": ("#1c1e21", "#e6e4df"),
    "muted": ("#5f6368", "#a09f9a"),
    "rule": ("#dcdad4", "#33363b"),
    "paper": ("#fdfdfb", "#15171a"),
    "raised": ("#f4f3ef", "#1d2024"),
    "good": ("#12784f", "#4fc38d"),
    "bad": ("#bb2d2a", "#f0796f"),
}

SERIES = [light for name, (light, _) in COLOURS.items() if name.startswith("series-")]


def light(name: str) -> str:
    """The colour by day, as ``#rrggbb``."""
    return COLOURS[name][0]


def variables(dark: bool) -> str:
    """The colours as CSS custom properties."""
    return "".join(f"--{name}:{pair[dark]};" for name, pair in COLOURS.items())


def with_variables(text: str) -> str:
    """``text`` with each colour by day replaced by its custom property, so that it follows the page's."""
    for name, (day, _) in COLOURS.items():
        text = text.replace(day, f"var(--{name})")
    return text
