"""A report as one page: a single file, from which no request goes out.

Nothing in it runs. Figures are drawn twice, for a desktop and for a phone, and take the page's colours by day and
by night. Its own policy forbids browsers to fetch anything, whatever a file's name may hold.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path

from rich.text import Text

from reports import files
from reports.cells import plain, styled
from reports.content import (
    ASIDE,
    Clip,
    ClipRow,
    Clips,
    Column,
    Figure,
    Mark,
    Picture,
    PictureRow,
    Pictures,
    Section,
    Stretch,
    Table,
)
from reports.figures import NARROW, WIDE, figures, svg
from reports.palette import variables
from reports.words import lines

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
_CLASSES = {"red": "bad", "green": "good", "bold": "strong", "dim": "dim"}
_PICTURES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png", b"RIFF": "webp"}
_SOUNDS = {b"RIFF": "wav", b"fLaC": "flac", b"ID3": "mpeg", b"\xff": "mpeg", b"OggS": "ogg"}
LINE = 36
"""Letters up to which a column of words is as wide as its widest; beyond, its cells wrap."""

WORD = 18
"""Letters up to which no word under a picture is broken, however narrow the picture."""

_FRAMES = {"right": "✓", "wrong": "✗"}
_MARKS: dict[Mark, tuple[str, str]] = {
    "wrong": ("said", "heard"),
    "missing": ("not heard", ""),
    "extra": ("", "not said"),
}
"""What those who do not see them are told of words that are struck out, and of those that are underlined."""


def page(title: str, sections: list[Section], *, how: Mapping[str, str] | None = None) -> str:
    """The whole report as HTML.

    how: what the report was made with, by name: the command, the plan, versions, hardware. Text may come from
    anywhere: only cells of tables are markup (rich's), and of that colours, bold and dim are kept.
    Raises ValueError for a picture or a sound of a kind that a page does not show or play.
    """
    style = resources.files("reports").joinpath("page.css").read_text(encoding="utf-8")
    colours = f":root{{{variables(dark=False)}}}@media screen and (prefers-color-scheme:dark){{:root{{{variables(dark=True)}}}}}"
    body = "\n".join(_section(section, f"s{number}") for number, section in enumerate(sections, start=1))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{_text(title)}</title>
<style>{colours}
{style}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
{_contents(sections)}</header>
<main>
{body}
{_how(how)}</main>
</body>
</html>
"""


def write(path: Path, title: str, sections: list[Section], *, how: Mapping[str, str] | None = None) -> None:
    """Writes the page. Raises UserError where it cannot be written."""
    files.write(path, page(title, sections, how=how).encode())


def _contents(sections: list[Section]) -> str:
    if len(sections) < 2:
        return ""
    links = (f'<li><a href="#s{n}">{_text(s.title)}</a></li>' for n, s in enumerate(sections, start=1))
    return f"<nav><ol>{''.join(links)}</ol></nav>\n"


def _section(section: Section, name: str) -> str:
    drawn = [_figure(figure, f"{name}-{number}") for number, figure in enumerate(figures(section))]
    notes = "".join(f"<li>{_text(note)}</li>" for note in section.notes)
    parts = [
        f'<section id="{name}">',
        f"<h2>{_text(section.title)}</h2>",
        f'<p class="answer">{_text(section.answer)}</p>',
        _table(section.table, section.title),
        f'<ul class="notes">{notes}</ul>' if notes else "",
        *drawn,
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _table(table: Table, title: str) -> str:
    """The table in a box of its own, within which it scrolls sideways where the screen is narrower."""
    columns = [column for column in table.columns if column.rank < ASIDE]
    if not columns or not table.rows:
        return ""
    head = "".join(f'<th scope="col"{_kind(table, column)}>{_text(column.title)}</th>' for column in columns)
    head = f"<thead><tr>{head}</tr></thead>" if any(column.title for column in columns) else ""
    rooms = {column.key: _room(table, column) for column in columns}
    kinds = {column.key: _kind(table, column) for column in columns}
    rows, previous = [], None
    for row in table.rows:
        band = row.get(table.group) if table.group else None
        starts = ' class="band"' if previous is not None and band != previous else ""
        previous = band
        cells = []
        for index, column in enumerate(columns):
            tag = 'th scope="row"' if index == 0 else "td"
            content = _cell(row.get(column.key, ""), rooms[column.key])
            cells.append(f"<{tag}{kinds[column.key]}>{content}</{tag.split()[0]}>")
        rows.append(f"<tr{starts}>{''.join(cells)}</tr>")
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{_text(title)}">'
        f"<table>{head}<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


def _kind(table: Table, column: Column) -> str:
    """Figures stand at the right; words stay in one line unless some of them are too many for it."""
    if column.right:
        return ' class="right"'
    longest = max(styled(row.get(column.key, "")).cell_len for row in table.rows)
    return ' class="long"' if longest > LINE else ""


_INTERVAL = re.compile(r"(?<=\S) \([^()]*\)$")


def _room(table: Table, column: Column) -> int:
    """Letters of the widest interval in a column of figures, so that the figures before them stand in line."""
    if not column.right:
        return 0
    found = (_INTERVAL.search(plain(row.get(column.key, ""))) for row in table.rows)
    return max((len(match[0]) - 1 for match in found if match), default=0)


def _cell(markup: str, room: int) -> str:
    """A cell's markup as HTML. An interval after a figure is set apart, ``room`` letters wide."""
    text = styled(markup)
    whole = text.plain
    interval = _INTERVAL.search(whole) if room else None
    figure = interval.start() if interval else len(whole)
    content = _marked(text, 0, figure)
    if interval:
        content += f' <span class="interval" style="min-width:{0.92 * room:.1f}ch">{_marked(text, figure + 1, len(whole))}</span>'
    elif room and whole:
        content += f' <span class="interval" style="min-width:{0.92 * room:.1f}ch"></span>'
    return content


def _marked(text: Text, start: int, end: int) -> str:
    """Letters ``start`` to ``end`` with those of their styles that a page knows."""
    edges = {start, end} | {
        edge for span in text.spans for edge in (span.start, span.end) if start < edge < end
    }
    marks = sorted(edges)
    pieces = []
    for here, there in itertools.pairwise(marks):
        words = {word for s in text.spans if s.start <= here < s.end for word in str(s.style).split()}
        names = " ".join(sorted(_CLASSES[word] for word in words & _CLASSES.keys()))
        piece = _text(text.plain[here:there])
        pieces.append(f'<span class="{names}">{piece}</span>' if names else piece)
    return "".join(pieces)


def _figure(figure: Figure, name: str) -> str:
    caption = _caption(figure.title, figure.note)
    if isinstance(figure, Pictures):
        rows = "\n".join(_picture_row(row) for row in figure.rows)
        height = f"--height:{int(figure.height)}px"
        return f'<figure class="pictures" style="{height}">{caption}{_key(figure.key)}\n{rows}\n</figure>'
    if isinstance(figure, Clips):
        rows = "\n".join(map(_clip_row, figure.rows))
        return f'<figure class="clips">{caption}\n{rows}\n</figure>'
    drawn = "\n".join(
        f'<div class="{size}">{svg(figure, width=width, name=f"{name}-{size}")}</div>'
        for size, width in (("wide", WIDE), ("narrow", NARROW))
    )
    return f'<figure class="drawn">{caption}\n{drawn}\n</figure>'


def _caption(title: str, note: str) -> str:
    if not title and not note:
        return ""
    said = f"<b>{_text(title)}</b> " if title else ""
    return f"<figcaption>{said}{_text(note)}</figcaption>"


def _picture_row(row: PictureRow) -> str:
    lead = f'<div class="lead">{_picture(row.lead)}</div>' if row.lead else ""
    strips = "".join(
        f'<h4>{_text(name)}</h4><div class="strip" tabindex="0" role="group" aria-label="{_text(name)}">'
        f"{''.join(map(_picture, strip))}</div>"
        for name, strip in row.strips.items()
    )
    return f'<div class="row"><h3>{_text(row.title)}</h3>{lead}<div class="strips">{strips}</div></div>'


def _picture(picture: Picture) -> str:
    mark = _FRAMES.get(picture.frame)
    sign = f'<i title="{picture.frame}">{mark}</i> ' if mark else ""
    said = f"<span>{sign}{_text(picture.caption)}</span>" if sign or picture.caption else ""
    said += f'<span class="dim">{_text(picture.subtitle)}</span>' if picture.subtitle else ""
    name = _text(picture.name)
    source = _data_uri("image", _picture_kind(picture.file), picture.file)
    words = f"{picture.caption} {picture.subtitle}".split()
    room = min(max(map(len, words), default=0), WORD)
    return (
        f'<div class="shot {picture.frame}" style="--least:max(3.4rem,{room}ch)">'
        f'<img src="{source}" alt="{name}" title="{name}">{said}</div>'
    )


def _key(key: Mapping[str, str]) -> str:
    """Swatches with their names."""
    if not key:
        return ""
    for colour in key.values():
        if not re.fullmatch(r"#[0-9a-f]{6}", colour):
            raise ValueError(f"'{colour}' is no colour of the form #rrggbb")
    swatches = (f'<li><i style="background:{colour}"></i>{_text(name)}</li>' for name, colour in key.items())
    return f'\n<ul class="key">{"".join(swatches)}</ul>'


def _clip_row(row: ClipRow) -> str:
    clips = "\n".join(map(_clip, row.clips))
    text = f"<blockquote>{_text(row.text)}</blockquote>" if row.text else ""
    return f'<div class="clip-row"><h3>{_text(row.title)}</h3>{text}\n<ul>\n{clips}\n</ul></div>'


def _clip(clip: Clip) -> str:
    said = f"<p><b>{_text(clip.caption)}</b>"
    said += f' <span class="dim">{_text(clip.subtitle)}</span></p>' if clip.subtitle else "</p>"
    player = ""
    if clip.file is not None:
        source = _data_uri("audio", _sound_kind(clip.file), clip.file)
        player = f'<audio controls preload="metadata" src="{source}" aria-label="{_text(clip.name)}"></audio>'
    words = f'<p class="words">{" ".join(map(_stretch, clip.words))}</p>' if clip.words else ""
    return f'<li><div class="sound">{said}{player}</div>{words}</li>'


def _stretch(stretch: Stretch) -> str:
    """What was not heard is struck out, what was not said is underlined; words that stand for others come after them."""
    if stretch.mark == "same":
        return _text(stretch.heard)
    lost, won = (f'<i class="unseen">{told}: </i>' if told else "" for told in _MARKS[stretch.mark])
    parts = []
    if lost:
        parts.append(f"<del>{lost}{_text(stretch.said)}</del>")
    if won:
        parts.append(f"<ins>{won}{_text(stretch.heard)}</ins>")
    return " ".join(parts)


def _picture_kind(file: bytes) -> str:
    kind = next((kind for start, kind in _PICTURES.items() if file.startswith(start)), None)
    if kind is None:
        raise ValueError("a page shows JPEG, PNG and WebP, and this picture is none of them")
    return kind


def _sound_kind(file: bytes) -> str:
    kind = next((kind for start, kind in _SOUNDS.items() if file.startswith(start)), None)
    if kind is None and file[4:8] == b"ftyp":
        kind = "mp4"
    if kind is None:
        raise ValueError("a page plays WAV, FLAC, MP3, Ogg and M4A, and this sound is none of them")
    return kind


def _data_uri(medium: str, kind: str, file: bytes) -> str:
    return f"data:{medium}/{kind};base64,{base64.b64encode(file).decode()}"


def _how(how: Mapping[str, str] | None) -> str:
    if not how:
        return ""
    listed = "\n".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in how.items())
    return f'<section id="how">\n<h2>How it was run</h2>\n<dl>\n{listed}\n</dl>\n</section>\n'


def _text(text: str) -> str:
    """Anybody's text as HTML that shows it. A per cent sign stays with its number."""
    return escape(lines(text).replace(" %", "\N{NO-BREAK SPACE}%"))
