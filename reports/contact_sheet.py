"""Rows of pictures as one picture file: what a terminal cannot show."""

from __future__ import annotations

import io
import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from reports import files
from reports.content import Frame, Picture, PictureRow, Pictures
from reports.palette import light
from reports.words import one_line

_GAP, _FRAME, _LINE = 10, 4, 17
_COLOURS: dict[Frame, str] = {"none": "rule", "right": "good", "wrong": "bad"}


def compose(pictures: Pictures) -> bytes:
    """A PNG: each row's lead at the left, its strips below each other beside it, right and wrong framed.

    Raises ValueError where there are no pictures.
    """
    rows = [_row(row, pictures.height) for row in pictures.rows if row.lead or any(row.strips.values())]
    if not rows:
        raise ValueError("there are no pictures to lay out")
    width = max(row.width for row in rows) + 2 * _GAP
    sheet = Image.new("RGB", (width, sum(row.height for row in rows) + _GAP), light("paper"))
    top = _GAP
    for row in rows:
        sheet.paste(row, (_GAP, top))
        top += row.height
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def save(pictures: Pictures, path: Path) -> None:
    """Writes the sheet. Raises UserError where it cannot be written."""
    files.write(path, compose(pictures))


def within(image: Image.Image, width: int, height: int) -> Image.Image:
    """``image`` as large as fits, in its shape; at least a pixel each way."""
    scale = min(width / image.width, height / image.height)
    return image.resize((max(1, round(scale * image.width)), max(1, round(scale * image.height))))


def _row(row: PictureRow, height: int) -> Image.Image:
    lead = _tile(row.lead, height) if row.lead else Image.new("RGB", (1, 1), light("paper"))
    strips = [(name, [_tile(p, height) for p in strip]) for name, strip in row.strips.items()]
    left = lead.width + 2 * _GAP
    across = [sum(tile.width + _GAP for tile in tiles) for _, tiles in strips]
    words = [left + _width(name, 12) for name, _ in strips]
    width = max([lead.width, _width(row.title, 14), *(left + a for a in across), *words])
    tall = max([lead.height, *(tile.height for _, tiles in strips for tile in tiles)]) + _LINE + _GAP
    head = _LINE + 4
    made = Image.new("RGB", (width, head + max(1, len(strips)) * tall + _GAP), light("paper"))
    pen = ImageDraw.Draw(made)
    pen.text((0, 0), one_line(row.title), light("ink"), ImageFont.load_default(14))
    made.paste(lead, (0, head + _LINE))
    for index, (name, tiles) in enumerate(strips):
        x, top = left, head + index * tall
        pen.text((x, top), one_line(name), light("muted"), ImageFont.load_default(12))
        for tile in tiles:
            made.paste(tile, (x, top + _LINE))
            x += tile.width + _GAP
    return made


def _tile(picture: Picture, height: int) -> Image.Image:
    with Image.open(io.BytesIO(picture.file)) as stored:
        image = within(stored.convert("RGB"), 4 * height, height)
    lines = [text for text in (picture.caption, picture.subtitle) if text]
    framed = image.width + 2 * _FRAME, image.height + 2 * _FRAME
    width = max([framed[0], *(_width(line, 12) for line in lines)])
    tile = Image.new("RGB", (width, height + 2 * _FRAME + _LINE * len(lines) + 2), light("paper"))
    colour = light(_COLOURS[picture.frame])
    tile.paste(colour, (0, 0, *framed))
    tile.paste(image, (_FRAME, _FRAME))
    pen = ImageDraw.Draw(tile)
    if picture.frame != "none":
        _badge(pen, picture.frame, colour)
    for index, line in enumerate(lines):
        at = (0, height + 2 * _FRAME + 2 + index * _LINE)
        pen.text(at, one_line(line), light("muted" if index else "ink"), ImageFont.load_default(12))
    return tile


def _badge(pen: ImageDraw.ImageDraw, frame: Frame, colour: str) -> None:
    """A tick or a cross in the corner, for those to whom the two frames look alike."""
    pen.rectangle((0, 0, 18, 18), fill=colour)
    if frame == "right":
        pen.line([(4, 9), (8, 13), (14, 5)], "white", 2)
    else:
        pen.line([(5, 5), (13, 13)], "white", 2)
        pen.line([(13, 5), (5, 13)], "white", 2)


def _width(text: str, size: int) -> int:
    return math.ceil(ImageFont.load_default(size).getlength(one_line(text)))
