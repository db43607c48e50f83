"""Figures: what is in them, that nothing else is, and that anybody can tell their colours apart."""

from __future__ import annotations

import io
import itertools
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mpq.errors import UserError
from reports.contact_sheet import compose
from reports.content import (
    Cloud,
    Curve,
    Distribution,
    Dot,
    Dots,
    Figure,
    Histogram,
    Picture,
    PictureRow,
    Pictures,
    Scatter,
    Section,
    Series,
    Table,
)
from reports.figures import LABELLED, NARROW, WIDE, save, save_all, svg
from reports.palette import COLOURS, light

HOSTILE = '<script>alert(1)</script> $\\frac{1}{$ "\'&--> 0.123456 #1d5b9e id="x" 写真'


def curve(name: str = "jpeg") -> Curve:
    band = [(50.0, 70.0), (70.0, 90.0), (80.0, 95.0)]
    return Curve(
        [
            Series(name, [(0.1, 60.0), (0.5, 80.0), (2.0, 90.0)], band),
            Series("webp", [(0.08, 66.0), (0.4, 85.0)]),
        ],
        "bpp",
        "top-1 %",
        91.0,
        "original",
        title="Rate and score",
    )


def histogram(name: str = "same") -> Histogram:
    shares = [Distribution(name, [0.25, 0.5, 0.25]), Distribution("different", [0.0, 0.1, 0.9])]
    return Histogram("Distances", "distance", [0.0, 0.5, 1.0, 1.5], {"before": shares, "after": shares})


def dots(name: str = "Sky", count: int = 3) -> Dots:
    items = [Dot(f"{name} {i}", [i + 0.5, i - 0.25]) for i in range(count)]
    return Dots("Classes", "IoU", ["before", "after"], items)


def scatter(name: str = "person 1") -> Scatter:
    clouds = [Cloud(name, [(0.0, 1.0), (2.0, 3.0)]), Cloud("person 2", [(5.0, 5.0)])]
    return Scatter("Map", "x", "y", {"before": clouds, "after": clouds}, equal=True)


EVERY = [curve, histogram, dots, scatter]


def pictures(height: int = 60) -> Pictures:
    def shot(colour: str, caption: str, frame: str = "none") -> Picture:
        file = io.BytesIO()
        Image.new("RGB", (30, 60), colour).save(file, "PNG")
        return Picture(file.getvalue(), caption, caption, "0.5", frame)  # type: ignore[arg-type]

    found = [shot("blue", "1", "right"), shot("yellow", "2", "wrong")]
    return Pictures(
        "Ranked lists", [PictureRow("somebody", shot("gray", "query"), {"before": found})], "", height
    )


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_figure_in_a_page_is_one_element_that_refers_to_itself_only(make: type, width: int) -> None:
    drawn = svg(make(HOSTILE), width=width, name="f")
    root = ElementTree.fromstring(drawn)  # well-formed, and without a namespace: it stands in HTML
    assert root.tag == "svg"
    assert {e.tag for e in root.iter()} <= {
        "svg",
        "g",
        "path",
        "use",
        "defs",
        "clipPath",
        "rect",
        "text",
        "tspan",
    }
    names = {e.get("id") for e in root.iter() if e.get("id")}
    values = [v for e in root.iter() for v in e.attrib.values()]
    asked = {
        found for v in values for found in re.findall(r"^#(.+)|url\(#(.+?)\)", v) for found in found if found
    }
    assert asked == names
    assert not any("//" in v or v.startswith("data:") for v in values)
    assert not any(re.search(r"#[0-9a-f]{6}", v) for v in values if not v.startswith(("#", "url"))), (
        "a fixed colour"
    )
    assert not any(key.startswith("on") for e in root.iter() for key in e.attrib)


@pytest.mark.parametrize("make", EVERY)
def test_names_stand_in_a_figure_as_they_are(make: type) -> None:
    drawn = ElementTree.fromstring(svg(make(HOSTILE)))
    words = ["".join(e.itertext()) for e in drawn.iter("text")]
    if make is dots:  # three rows of it, with their numbers
        assert {f"{HOSTILE} {i}"[:8] for i in range(3)} <= {word[:8] for word in words}
    else:
        assert HOSTILE in words


@pytest.mark.parametrize("make", EVERY)
def test_names_that_are_no_text_are_drawn_all_the_same(make: type, tmp_path: Path) -> None:
    figure = make("\udce9\x00\x1b[31m\n\u202e")
    titles = {
        field: "\udcff\x00\n" for field in ("title", "x_title", "y_title", "note") if hasattr(figure, field)
    }
    if hasattr(figure, "panels"):
        titles["panels"] = {f"\udcff{name}": parts for name, parts in figure.panels.items()}
    figure = replace(figure, **titles)
    svg(figure).encode()
    save(figure, tmp_path / "a.pdf")


def test_a_name_that_is_too_long_loses_its_middle() -> None:
    drawn = ElementTree.fromstring(svg(curve("a" * 300 + "z"), width=NARROW))
    (name,) = ["".join(e.itertext()) for e in drawn.iter("text") if "aaa" in "".join(e.itertext())]
    assert len(name) < 50
    assert name.startswith("aaa") and name.endswith("aaz") and "…" in name


@pytest.mark.parametrize("make", EVERY)
def test_the_same_content_gives_the_same_bytes(make: type, tmp_path: Path) -> None:
    assert svg(make(), name="a") == svg(make(), name="a")
    for kind in ("svg", "pdf"):
        files = [tmp_path / f"{i}.{kind}" for i in range(2)]
        for file in files:
            save(make(), file)
        assert files[0].read_bytes() == files[1].read_bytes()


def test_two_figures_of_a_page_share_no_names() -> None:
    one, other = (set(re.findall(r' id="([^"]+)"', svg(curve(), name=name))) for name in ("a", "b"))
    assert one and not one & other


def test_ticks_of_rates_are_round_numbers() -> None:
    drawn = ElementTree.fromstring(svg(curve()))
    words = ["".join(e.itertext()) for e in drawn.iter("text")]
    assert {"0.1", "0.2", "0.5", "1", "2", "bpp", "top-1 %", "jpeg", "webp", "original"} <= set(words)
    near = Curve([Series("a", [(0.31, 1.0), (0.36, 2.0)])], "bpp", "score")
    words = ["".join(e.itertext()) for e in ElementTree.fromstring(svg(near)).iter("text")]
    assert sum(0.3 <= float(w) <= 0.37 for w in words if re.fullmatch(r"0\.\d+", w)) >= 2


@pytest.mark.parametrize(
    "figure",
    [
        Curve([], "bpp", "score"),
        Curve([Series("a", [])], "bpp", "score", 90.0),
        Curve([Series("a", [(0.0, 1.0), (-1.0, 2.0), (math.nan, 3.0), (1.0, math.inf)])], "bpp", "score"),
        Curve([Series("a", [(0.5, 1.0)], [(math.nan, math.nan)])], "bpp", "score", math.nan),
        Curve([Series(str(i), [(1.0 + i, i)]) for i in range(30)], "bpp", "score"),
        Histogram("empty", "x", [0.0, 1.0], {"before": [Distribution("a", [0.0])]}),
        Dots("none", "x", ["a"], []),
        Dots("lacking", "x", ["a", "b"], [Dot("i", [math.nan, math.nan]), Dot("j", [1.0, math.nan])]),
        Scatter("none", "x", "y", {"before": []}),
        Scatter("alike", "x", "y", {"": [Cloud("a", [(1.0, 1.0), (1.0, 1.0)])]}, equal=True),
    ],
)
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.filterwarnings("error")
def test_odd_figures_are_drawn_without_complaint(figure: Figure, width: int) -> None:
    assert svg(figure, width=width).startswith("<svg")


@pytest.mark.parametrize("count", [LABELLED, LABELLED + 1])
def test_many_items_become_columns_without_names(count: int) -> None:
    words = "".join(ElementTree.fromstring(svg(dots("class", count))).itertext())
    assert ("class 7" in words) == (count <= LABELLED)


def test_panels_stand_beside_each_other_on_a_desktop_and_below_each_other_on_a_phone() -> None:
    def shape(width: int) -> tuple[float, float]:
        box = re.search(r'viewBox="0 0 (\S+) (\S+)"', svg(histogram(), width=width))
        assert box is not None
        return float(box[1]), float(box[2])

    assert shape(WIDE)[0] == WIDE and shape(NARROW)[0] == NARROW
    assert shape(NARROW)[1] > 1.5 * shape(WIDE)[1]


def test_files_for_print(tmp_path: Path) -> None:
    save(curve(), tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    ElementTree.fromstring(drawn)
    assert "<text" not in drawn and "var(" not in drawn  # looks the same everywhere
    save(curve(), tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert b"CreationDate" not in (tmp_path / "a.pdf").read_bytes()
    with pytest.raises(UserError, match=r"a\.docx"):
        save(curve(), tmp_path / "a.docx")
    with pytest.raises(UserError, match=r"a\.pdf"):
        save(pictures(), tmp_path / "a.pdf")


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "a.svg", tmp_path / "nowhere" / "a.svg"):
        with pytest.raises(UserError, match=f"'{place}' cannot be written: "):
            save(curve(), place)
    with pytest.raises(UserError, match="cannot be made: "):
        save_all([], tmp_path / "file" / "folder")


def test_all_figures_of_a_report_go_into_a_folder(tmp_path: Path) -> None:
    table = Table([], [])
    sections = [
        Section("embedded · ../../etc/passwd", "…", table, curve=curve(), figures=[dots(), pictures()]),
        Section("写真", "…", table, figures=[scatter()]),
    ]
    files = save_all(sections, tmp_path / "new" / "figures")
    assert sorted(files) == sorted((tmp_path / "new" / "figures").iterdir())
    assert [f.name[:2] + f.suffix for f in files] == [
        "01.svg", "01.pdf", "02.svg", "02.pdf", "03.png", "04.svg", "04.pdf"
    ]  # fmt: skip


def test_a_contact_sheet_frames_right_and_wrong() -> None:
    sheet = np.asarray(Image.open(io.BytesIO(compose(pictures()))))

    def count(colour: str) -> int:
        return int((sheet == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=2).sum())

    # a frame of 4 pixels around 30 × 60, less the tick or cross in its corner's badge
    frame = 38 * 68 - 30 * 60
    assert count(light("good")) >= frame - 4
    assert count(light("bad")) >= frame - 4
    assert count("#0000ff") == pytest.approx(30 * 60, abs=16 * 16)  # beneath the badge
    green = np.argwhere((sheet == [0x12, 0x78, 0x4F]).all(axis=2))[:, 1].min()
    red = np.argwhere((sheet == [0xBB, 0x2D, 0x2A]).all(axis=2))[:, 1].min()
    assert green < red  # in the list's order


def test_a_contact_sheet_takes_any_name_and_any_picture() -> None:
    def shot(size: tuple[int, int], name: str) -> Picture:
        file = io.BytesIO()
        Image.new("L", size).save(file, "PNG")
        return Picture(file.getvalue(), name, name, "a\nb\x00\udcff", "wrong")

    odd = [shot((1, 900), "写真\n"), shot((900, 1), "\udce9 é"), shot((3, 3), "")]
    sheet = Image.open(
        io.BytesIO(compose(Pictures("p", [PictureRow("r\nr", None, {"s\n": odd, "": []})], height=20)))
    )
    assert sheet.height < 300 and sheet.width < 600
    with pytest.raises(ValueError, match="no pictures"):
        compose(Pictures("p", [PictureRow("r", None, {"before": []})]))


# what people with one kind of cones missing see of linear RGB (Machado, Oliveira, Fernandes 2009, severity 1)
EYES = {
    "three kinds of cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour: str) -> np.ndarray:
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson 2020: a distance of 0.02 is just seen side by side."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    opponent = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return opponent @ np.cbrt(cones @ rgb)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("eyes", EYES)
def test_series_are_told_apart_by_all_eyes(dark: bool, eyes: str) -> None:
    seen = [
        oklab(np.clip(EYES[eyes] @ linear(pair[dark]), 0, 1))
        for name, pair in COLOURS.items()
        if name.startswith("series-")
    ]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.07


@pytest.mark.parametrize("dark", [False, True])
def test_colours_stand_out_from_the_paper_as_the_web_guidelines_ask(dark: bool) -> None:
    def luminance(name: str) -> float:
        return float(linear(COLOURS[name][dark]) @ [0.2126, 0.7152, 0.0722])

    def contrast(name: str) -> float:
        one, other = sorted([luminance(name), luminance("paper")])
        return (other + 0.05) / (one + 0.05)

    assert all(contrast(name) >= 4.5 for name in ("ink", "muted", "good", "bad"))  # WCAG 2.1, text
    assert all(contrast(name) >= 3 for name in COLOURS if name.startswith("series-"))  # graphics
