"""The plain content that every form of a report is made from: sentences, tables, figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

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
    """A curve: (x, y) points in order of x. band: their intervals, a (low, high) a point."""

    name: str
    points: list[tuple[float, float]]
    band: list[tuple[float, float]] | None = None


@dataclass(frozen=True)
class Curve:
    """Curves over a logarithmic x axis, with a level that they are held against."""

    series: list[Series]
    x_title: str
    y_title: str
    level: float | None = None
    level_title: str = ""
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Distribution:
    """shares: of the whole, one a bin."""

    name: str
    shares: list[float]


@dataclass(frozen=True)
class Histogram:
    """Distributions over the same bins, by panel. edges: one more than there are bins."""

    title: str
    x_title: str
    edges: list[float]
    panels: dict[str, list[Distribution]]
    note: str = ""


@dataclass(frozen=True)
class Dot:
    """An item's values, one for each of the figure's ``names``; NaN where it has none."""

    label: str
    values: list[float]


@dataclass(frozen=True)
class Dots:
    """Values of items side by side: before and after, or of several settings."""

    title: str
    x_title: str
    names: list[str]
    items: list[Dot]
    note: str = ""


@dataclass(frozen=True)
class Cloud:
    """Points of one group."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Scatter:
    """Groups of points in panels that share their axes. equal: a step is as long along y as along x."""

    title: str
    x_title: str
    y_title: str
    panels: dict[str, list[Cloud]]
    note: str = ""
    equal: bool = False


Frame = Literal["none", "right", "wrong"]


@dataclass(frozen=True)
class Picture:
    """file: the bytes of a PNG, JPEG or WebP. name: what it shows, for those who cannot see it."""

    file: bytes
    name: str
    caption: str = ""
    subtitle: str = ""
    frame: Frame = "none"


@dataclass(frozen=True)
class PictureRow:
    """lead: what the others are held against: a query, an original. strips: pictures in order, by what they are."""

    title: str
    lead: Picture | None
    strips: dict[str, list[Picture]]


@dataclass(frozen=True)
class Pictures:
    """Rows of pictures, all shown ``height`` pixels high.

    key: what colours in the pictures mean, name -> ``#rrggbb``.
    """

    title: str
    rows: list[PictureRow]
    note: str = ""
    height: int = 112
    key: dict[str, str] = field(default_factory=dict)


Mark = Literal["same", "wrong", "missing", "extra"]


@dataclass(frozen=True)
class Stretch:
    """Neighbouring words of a text that is held against another.

    said: what should stand there, heard: what does. The same in both where ``same``; ``missing`` words were not
    heard, ``extra`` ones not said.
    """

    mark: Mark
    said: str
    heard: str


@dataclass(frozen=True)
class Clip:
    """A sound to be played, and what was heard in it.

    file: the bytes of a WAV, FLAC, MP3, Ogg or M4A file; None where there are words alone. name: what it is, for those
    who do not see where it stands.
    """

    file: bytes | None
    name: str
    caption: str
    subtitle: str = ""
    words: list[Stretch] = field(default_factory=list)


@dataclass(frozen=True)
class ClipRow:
    """clips: the first is what the others are held against. text: what should be heard."""

    title: str
    clips: list[Clip]
    text: str = ""


@dataclass(frozen=True)
class Clips:
    """Sounds, row by row. No more than a page can play them."""

    title: str
    rows: list[ClipRow]
    note: str = ""


Figure: TypeAlias = Curve | Histogram | Dots | Scatter | Pictures | Clips


@dataclass(frozen=True)
class Section:
    """title, then the answer, then what it rests on. data: the same numbers, unrounded, for JSON and CSV.

    A terminal shows no ``figures``; a page shows them after the curve.
    """

    title: str
    answer: str
    table: Table
    curve: Curve | None = None
    notes: list[str] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
