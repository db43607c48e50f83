"""Rate–score curves drawn with braille dots: eight dots a character, a logarithmic x axis."""

from __future__ import annotations

import itertools
import math

from rich.text import Text

from reports.content import Curve
from reports.words import one_line

MARKS = "●■▲◆▼★"
COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # braille bits by row and column


def draw(curve: Curve, width: int, height: int = 14) -> Text:
    """The curve as ``height`` lines of at most ``width`` columns, with axes and a legend."""
    points = [p for series in curve.series for p in series.points]
    if not points:
        return Text()
    margin, x_title = 7, one_line(curve.x_title)
    canvas = _Canvas(max(20, width - margin - 1 - len(x_title)), max(4, height), points, curve.level)
    if curve.level is not None:
        canvas.dashes(curve.level)
    for index, series in enumerate(curve.series):
        canvas.line(series.points, COLOURS[index % len(COLOURS)])
    for index, series in enumerate(curve.series):
        for x, y in series.points:
            canvas.mark(x, y, MARKS[index % len(MARKS)], COLOURS[index % len(COLOURS)])
    text = Text()
    text.append(f"{one_line(curve.y_title)}\n", style="dim")
    labels = canvas.y_labels()
    for row in range(canvas.height):
        text.append(f"{labels.get(row, ''):>{margin - 2}} ", style="dim")
        text.append("┤" if row in labels else "│", style="dim")
        text.append_text(canvas.row(row))
        text.append("\n")
    ticks, names = canvas.x_axis()
    text.append(" " * (margin - 1) + "└" + ticks + "\n", style="dim")
    text.append(" " * margin + names + f" {x_title}\n", style="dim")
    text.append(" " * margin)
    for index, series in enumerate(curve.series):
        text.append(
            f"{MARKS[index % len(MARKS)]} {one_line(series.name)}  ", style=COLOURS[index % len(COLOURS)]
        )
    if curve.level is not None:
        text.append(f"╌ {one_line(curve.level_title)}", style="dim")
    return text


class _Canvas:
    def __init__(
        self, width: int, height: int, points: list[tuple[float, float]], level: float | None
    ) -> None:
        self.width, self.height = width, height
        self.dots = [[0] * width for _ in range(height)]
        self.styles = [[""] * width for _ in range(height)]
        self.marks: dict[tuple[int, int], tuple[str, str]] = {}
        xs = [math.log10(x) for x, _ in points]
        ys = [y for _, y in points] + ([level] if level is not None else [])
        self.x0, self.x1 = min(xs), max(xs)
        self.y0, self.y1 = min(ys), max(ys)
        if self.x1 - self.x0 < 1e-9:
            self.x0, self.x1 = self.x0 - 0.3, self.x1 + 0.3
        if self.y1 - self.y0 < 1e-9:
            self.y0, self.y1 = self.y0 - 1, self.y1 + 1

    def _dot(self, log_x: float, y: float) -> tuple[int, int]:
        column = round((log_x - self.x0) / (self.x1 - self.x0) * (2 * self.width - 1))
        row = round((self.y1 - y) / (self.y1 - self.y0) * (4 * self.height - 1))
        return column, row

    def _set(self, column: int, row: int, style: str) -> None:
        cell = row // 4, column // 2
        self.dots[cell[0]][cell[1]] |= _DOTS[row % 4][column % 2]
        self.styles[cell[0]][cell[1]] = style

    def dashes(self, y: float) -> None:
        _, row = self._dot(self.x0, y)
        for column in range(2 * self.width):
            if column % 6 < 3:
                self._set(column, row, "dim")

    def line(self, points: list[tuple[float, float]], style: str) -> None:
        ends = [self._dot(math.log10(x), y) for x, y in points]
        for (c0, r0), (c1, r1) in itertools.pairwise(ends):
            steps = max(abs(c1 - c0), abs(r1 - r0), 1)
            for i in range(steps + 1):
                self._set(round(c0 + (c1 - c0) * i / steps), round(r0 + (r1 - r0) * i / steps), style)

    def mark(self, x: float, y: float, mark: str, style: str) -> None:
        column, row = self._dot(math.log10(x), y)
        self.marks[row // 4, column // 2] = mark, style

    def row(self, row: int) -> Text:
        text = Text()
        for column in range(self.width):
            if (row, column) in self.marks:
                text.append(*self.marks[row, column])
            else:
                dots = self.dots[row][column]
                text.append(chr(0x2800 + dots) if dots else " ", style=self.styles[row][column])
        text.rstrip()
        return text

    def y_labels(self) -> dict[int, str]:
        """Row -> label, at round values."""
        step = next(
            digit * 10.0**power
            for power in range(-6, 7)
            for digit in (1, 2, 5)
            if (self.y1 - self.y0) / (digit * 10.0**power) <= 5
        )
        values = [
            step * i for i in range(math.ceil(self.y0 / step - 1e-9), math.floor(self.y1 / step + 1e-9) + 1)
        ]
        return {self._dot(self.x0, value)[1] // 4: f"{value:g}" for value in values}

    def x_axis(self) -> tuple[str, str]:
        """The axis, and the names of its ticks, which are no wider than it."""
        ticks, names = ["─"] * self.width, [" "] * self.width
        free = 0
        for power in range(math.floor(self.x0) - 1, math.ceil(self.x1) + 1):
            for digit in (1, 2, 5):
                value = digit * 10.0**power
                column = self._dot(math.log10(value), self.y0)[0] // 2
                name = f"{value:g}"
                start = min(column, self.width - len(name))
                if 0 <= column < self.width and start >= free:
                    ticks[column] = "┴"
                    names[start : start + len(name)] = name
                    free = start + len(name) + 1
        if free == 0:  # no round value in sight: name the ends
            left, right = f"{10**self.x0:.3g}", f"{10**self.x1:.3g}"
            ticks[0] = ticks[-1] = "┴"
            names = list(f"{left}{right:>{self.width - len(left)}}")
        return "".join(ticks), "".join(names).rstrip()
