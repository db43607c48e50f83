"""Figures drawn from plain content: for a page, as SVG that takes the page's colours and fonts; for print, as files.

The same content gives the same bytes: there are no dates and no random names in them.
"""

from __future__ import annotations

import io
import itertools
import logging
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpq.errors import UserError
from reports import contact_sheet, files
from reports.content import Curve, Dots, Figure, Histogram, Pictures, Scatter, Section
from reports.palette import SERIES, light, with_variables
from reports.words import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

WIDE, NARROW = 920, 344
"""Widths in pixels that a page draws at: for a desktop, and for a phone."""

LABELLED = 40
"""Items up to which ``Dots`` are rows with names; more are columns without."""

_MARKS = "os^DvPX"
_DASHES = ("-", "--", "-.", ":")
_LETTER = 7.2  # pixels of an average letter at the size below
_STYLE: dict[Any, Any] = {
    "font.size": 12,
    "font.family": ["DejaVu Sans"],  # matplotlib's own: what is measured does not hang on the machine's fonts
    "text.parse_math": False,  # a $ in a file's name is a $
    "text.color": light("ink"),
    "axes.edgecolor": light("muted"),
    "axes.labelcolor": light("muted"),
    "axes.labelsize": 11.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titlepad": 8,
    "grid.color": light("rule"),
    "grid.linewidth": 0.8,
    "xtick.color": light("muted"),
    "ytick.color": light("muted"),
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.06,
}


def svg(figure: Figure, *, width: int = WIDE, name: str = "") -> str:
    """The figure as an ``<svg>`` element to stand in a page, ``width`` pixels wide.

    Text stays text, in the page's font; colours are the custom properties of ``reports.palette``; nothing outside
    the element is named. name: what tells the element's inner names from those of others in the same page.
    """
    with _style({"svg.fonttype": "none", "svg.hashsalt": name}):
        drawn = _drawn(figure, width)
        file = io.BytesIO()
        drawn.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _bare(file.getvalue().decode(), figure.title)


def save(figure: Figure, path: Path, *, width: int = 640) -> None:
    """Writes the figure as its suffix says: .svg (letters as outlines) or .pdf; pictures as .png.

    Raises UserError for another suffix, and where it cannot be written.
    """
    kind = path.suffix.lower().lstrip(".")
    kinds = ("png",) if isinstance(figure, Pictures) else ("svg", "pdf", "png")
    if kind not in kinds:
        raise UserError(f"such a figure is written as .{' or .'.join(kinds)}, which '{path}' is not")
    if isinstance(figure, Pictures):
        contact_sheet.save(figure, path)
        return
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
    with _style({"svg.fonttype": "path", "svg.hashsalt": "", "pdf.fonttype": 42}):
        drawn = _drawn(figure, width)
        file = io.BytesIO()
        drawn.savefig(file, format=kind, metadata=dates, dpi=72 if kind != "png" else 216)
    files.write(path, file.getvalue())


def save_all(sections: list[Section], folder: Path) -> list[Path]:
    """Every figure of a report, as SVG and PDF, pictures as PNG, in a folder that is made. Returns the files.

    Raises UserError where they cannot be written.
    """
    files.make_folder(folder)
    made: list[Path] = []
    numbered = ((section, figure) for section in sections for figure in figures(section))
    for number, (section, figure) in enumerate(numbered, start=1):
        words = re.sub(r"[^a-z0-9]+", "-", f"{section.title} {figure.title}".lower()).strip("-")
        for kind in ("png",) if isinstance(figure, Pictures) else ("svg", "pdf"):
            made.append(folder / f"{number:02d}-{words[:80]}.{kind}")
            save(figure, made[-1])
    return made


def figures(section: Section) -> list[Figure]:
    """A section's curve and figures: all that can be drawn of it."""
    return [*([section.curve] if section.curve is not None else []), *section.figures]


@contextmanager
def _style(options: dict[Any, Any]) -> Iterator[None]:
    import matplotlib

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that it looks for fonts is no news to a reader
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # a user's own settings are not the report's
        matplotlib.rcParams.update(_STYLE | options)
        # letters that the measuring font lacks are there in the reader's
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _drawn(figure: Figure, width: int) -> Canvas:
    match figure:
        case Curve():
            return _curve(figure, width)
        case Histogram():
            return _histogram(figure, width)
        case Dots():
            return _dots(figure, width)
        case Scatter():
            return _scatter(figure, width)
    raise TypeError(f"{type(figure).__name__} is not drawn but shown")


def _curve(figure: Curve, width: int) -> Canvas:
    canvas, axes = _canvas(width, max(0.4 * width, 230) + 80)
    legend = []
    for index, series in enumerate(figure.series):
        colour, mark = SERIES[index % len(SERIES)], _MARKS[index % len(_MARKS)]
        dash = _DASHES[index // len(SERIES) % len(_DASHES)]
        band = series.band or [(math.nan, math.nan)] * len(series.points)
        shown = [
            (x, y, *ends)
            for (x, y), ends in zip(series.points, band, strict=True)
            if math.isfinite(x) and x > 0 and math.isfinite(y)
        ]
        if not shown:
            continue
        xs, ys, low, high = zip(*shown, strict=True)
        axes.fill_between(xs, low, high, color=colour, alpha=0.13, linewidth=0)
        if len(shown) == 1 and all(map(math.isfinite, (*low, *high))):  # a band of one point has no width
            axes.vlines(xs, low, high, color=colour, linewidth=1.2)
        legend += axes.plot(xs, ys, dash, marker=mark, color=colour, label=series.name)
    if figure.level is not None and math.isfinite(figure.level):
        line = axes.axhline(figure.level, color=light("muted"), linewidth=1.2, linestyle=(0, (4, 3)))
        line.set_label(figure.level_title)
        legend += [line] if figure.level_title else []
    axes.set_xscale("log")
    axes.margins(x=0.04)
    _log_ticks(axes)
    _titles(axes, figure.x_title, figure.y_title)
    _legend(canvas, legend, width)
    return canvas


def _histogram(figure: Histogram, width: int) -> Canvas:
    canvas, *panels = _canvas(width, 260, len(figure.panels))
    legend: dict[str, Any] = {}
    for axes, (title, distributions) in zip(panels, figure.panels.items(), strict=True):
        for index, distribution in enumerate(distributions):
            colour, dash = SERIES[index % len(SERIES)], _DASHES[index % 2]
            axes.stairs(distribution.shares, figure.edges, fill=True, color=colour, alpha=0.22)
            outline = axes.stairs(
                distribution.shares, figure.edges, edgecolor=colour, linewidth=1.5, linestyle=dash
            )
            legend.setdefault(distribution.name, outline)
        axes.set_title(one_line(title))
        axes.set_yticks([])
        axes.margins(x=0)
    panels[-1].set_ylim(bottom=0)  # of all panels: they share it
    panels[-1].set_xlabel(one_line(figure.x_title), loc="right")
    _legend(canvas, list(legend.values()), width, list(legend))
    return canvas


def _dots(figure: Dots, width: int) -> Canvas:
    rows = len(figure.items) <= LABELLED
    canvas, axes = _canvas(width, 21 * len(figure.items) + 90 if rows else 300)
    places = range(len(figure.items))
    ends = [[v for v in item.values if math.isfinite(v)] or [math.nan] for item in figure.items]
    line = axes.hlines if rows else axes.vlines
    line(places, [min(e) for e in ends], [max(e) for e in ends], color=light("rule"), linewidth=2)
    legend = []
    for index, name in enumerate(figure.names):
        values = [item.values[index] for item in figure.items]
        at: tuple[Any, Any] = (values, places) if rows else (places, values)
        colour, mark = SERIES[index % len(SERIES)], _MARKS[index % len(_MARKS)]
        size = 5.5 if rows else max(1.6, min(4.5, width / len(figure.items) / 2))
        axes.plot(*at, mark, color=colour, markersize=size)
        legend += axes.plot([], [], mark, color=colour, label=name)
    if rows:
        room = 36 if width >= WIDE else 15
        axes.set_yticks(places, [_short(item.label, room) for item in figure.items])
        axes.set_ylim(len(figure.items) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(one_line(figure.x_title), loc="right")
    else:
        axes.set_xticks([])
        axes.margins(x=0.01)
        _titles(axes, "", figure.x_title)
    _legend(canvas, legend, width)
    return canvas


def _scatter(figure: Scatter, width: int) -> Canvas:
    panels = len(figure.panels)
    side = (width / panels if width >= WIDE else width) if figure.equal else 320
    canvas, *axes = _canvas(width, min(side, 460) + 50, panels)
    names = list(dict.fromkeys(cloud.name for clouds in figure.panels.values() for cloud in clouds))
    legend: dict[str, Any] = {}
    for one, (title, clouds) in zip(axes, figure.panels.items(), strict=True):
        for cloud in clouds:
            index = names.index(cloud.name)
            style = {"color": SERIES[index % len(SERIES)], "marker": _MARKS[index % len(_MARKS)]}
            xs, ys = zip(*cloud.points, strict=True) if cloud.points else ((), ())
            legend[cloud.name] = one.scatter(xs, ys, s=28, linewidth=0, alpha=0.85, **style)
        one.set_title(one_line(title))
        one.grid(visible=True, axis="both")
        if figure.equal:
            one.set_box_aspect(1)
            one.tick_params(labelbottom=False, labelleft=False, bottom=False)
    if figure.equal:
        _square(axes[0])  # the others share its axes
    axes[-1].set_xlabel(one_line(figure.x_title), loc="right")
    if list(figure.panels) == [""]:
        _titles(axes[0], figure.x_title, figure.y_title)
    else:
        axes[0].set_ylabel(one_line(figure.y_title), loc="top")
    _legend(canvas, [legend[name] for name in names], width, names)
    return canvas


def _canvas(width: float, height: float, panels: int = 1) -> tuple[Any, ...]:
    """The canvas and its axes: side by side where there is room, else one below the other. Pixels, 72 an inch."""
    from matplotlib.figure import Figure as Canvas

    beside = width >= WIDE or (panels == 2 and width > 500)
    total = height if beside else height * panels
    canvas = Canvas(figsize=(width / 72, total / 72), dpi=72, layout="constrained")
    shape = (1, panels) if beside else (panels, 1)
    axes = canvas.subplots(*shape, squeeze=False, sharex=panels > 1, sharey=panels > 1)
    return canvas, *axes.flat


def _titles(axes: Axes, x_title: str, y_title: str) -> None:
    """Both titles lie level: the y axis's above it, the x axis's at its end."""
    axes.set_title(one_line(y_title), color=light("muted"), fontsize=11.5)
    axes.set_xlabel(one_line(x_title), loc="right")


def _legend(canvas: Canvas, handles: list[Any], width: int, names: list[str] | None = None) -> None:
    if len(handles) < 2:
        return
    labels = [_short(n, int((width - 60) / _LETTER)) for n in names or [str(h.get_label()) for h in handles]]
    fitting = max(1, int(width / (_LETTER * max(map(len, labels)) + 48)))
    lines = math.ceil(len(labels) / fitting)
    canvas.legend(handles, labels, loc="outside upper left", ncols=math.ceil(len(labels) / lines))


def _short(text: str, letters: int) -> str:
    """At most so many letters of a line; the middle of a name says least."""
    text = one_line(text)
    if len(text) <= letters:
        return text
    kept = max(2, letters - 1)
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def _log_ticks(axes: Axes) -> None:
    """Ticks at 1, 2, 5 of each decade, or where those are too many or too few at 1, or where there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_xlim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = sum(low <= d * 10.0**e <= high for d, e in itertools.product((1, 2, 5), decades))
    if fine < 2:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    else:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if fine <= 9 else (1,), numticks=20))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _square(axes: Axes) -> None:
    """Limits as far apart along y as along x."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    half = max(right - left, top - bottom) / 2
    axes.set_xlim((left + right) / 2 - half, (left + right) / 2 + half)
    axes.set_ylim((bottom + top) / 2 - half, (bottom + top) / 2 + half)


def _bare(drawing: str, title: str) -> str:
    """matplotlib's SVG without what a page has no use for: prolog, metadata, fonts, styles, unused names."""
    element = drawing[drawing.index("<svg") :]
    for pattern in (r"<!--.*?-->", r"<metadata>.*?</metadata>", r"<style.*?</style>"):
        element = re.sub(pattern, "", element, flags=re.DOTALL)
    used = set(re.findall(r'<[^>]*(?:url\(|href=")#([^")]+)', element))
    box = re.search(r'viewBox="[^"]*"', element)
    head = f'<svg {box[0] if box else ""} role="img" aria-label="{escape(one_line(title))}">'
    # only tags are touched: what looks like one of these in a text is somebody's name
    element = re.sub(r"<[^>]*>", lambda tag: _bare_tag(tag[0], used), element[element.index(">") + 1 :])
    return head + re.sub(r"\s*\n\s*", "\n", element)


def _bare_tag(tag: str, used: set[str]) -> str:
    tag = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", tag)
    for pattern, shorter in (
        (r' transform="rotate\(-0 [^)]*\)"', ""),
        (r"font: (?:[a-z]+ )*([\d.]+px) [^;\"]*", r"font-size: \1"),  # matplotlib before 3.10
        (r"font-family: [^;\"]*;? ?", ""),
        (r"xlink:href", "href"),
        (r"(\d\.\d\d)\d+", r"\1"),
    ):
        tag = re.sub(pattern, shorter, tag)
    return with_variables(tag)
