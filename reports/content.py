"""The plain content that every form of a report is made from: sentences, tables, curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ASIDE = 9
"""From this rank a column is an aside, such as a time, which differs from run to run: pages leave it out."""


@dataclass(frozen=True)
class Column:
    """key: of the rows' values, which are already text. rank: where there is no room for all, the highest go first."""

    key: str
    title: str
    rank: int = 0
    right: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of text by column key. A row's ``group`` value starts a new band of rows where it changes."""

    columns: list[Column]
    rows: list[dict[str, str]]
    group: str | None = None


@dataclass(frozen=True)
class Series:
    """A curve: (x, y) points in order of x."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """Curves over a logarithmic x axis, with a level that they are held against."""

    series: list[Series]
    x_title: str
    y_title: str
    level: float | None = None
    level_title: str = ""


@dataclass(frozen=True)
class Section:
    """title, then the answer, then what it rests on. data: the same numbers, unrounded, for JSON and CSV."""

    title: str
    answer: str
    table: Table
    curve: Curve | None = None
    notes: list[str] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
