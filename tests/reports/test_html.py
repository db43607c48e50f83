"""The page: read by a strict parser, fed with hostile names, and opened in a real browser."""

from __future__ import annotations

import base64
import html
import http.server
import io
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.markup import escape

from mpq.audio import read_audio
from mpq.audio_files import wav
from mpq.codecs.base import parse_codec
from mpq.gallery.sound import flac
from reports.content import (
    Clip,
    ClipRow,
    Clips,
    Column,
    Mark,
    Picture,
    PictureRow,
    Pictures,
    Section,
    Stretch,
    Table,
)
from reports.html import page
from reports.palette import COLOURS
from tests.reports.test_figures import curve, dots, histogram, pictures, scatter

HOSTILE = '"><script>alert(1)</script><img src=\'http://evil.test/x\' onerror="alert(1)">&amp;--></style>'
VOID = {"meta", "link", "img", "br", "hr", "input"}
SHOWN = {"path", "use", "rect", "g"}  # of SVG, closed in themselves


class Read(HTMLParser):
    """Every element with its attributes and the words in it; complains where elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHOWN, tag
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        self.words.append((self.open[-1] if self.open else "", data))

    def texts(self, tag: str) -> list[str]:
        return [text for inside, text in self.words if inside == tag]


def sound() -> bytes:
    """Half a second of a tone, as WAV."""
    return wav(np.sin(np.arange(4000)[None] / 3).astype(np.float32) / 2, 8000)


def clips(name: str = "opus", file: bytes | None = None) -> Clips:
    """One utterance: as it was, and with a word for another, one missing and one too many."""
    marks: list[tuple[Mark, str, str]] = [
        ("same", "it was", "it was"), ("wrong", "the best", f"a {name}"), ("missing", "of", ""), ("extra", "", "old"),
        ("same", "times", "times"),
    ]  # fmt: skip
    words = [Stretch(mark, said, heard) for mark, said, heard in marks]
    original = Clip(sound(), f"{name}, original", "original", "768 kbps")
    decode = Clip(file or sound(), f"{name}, decode", name, "6 kbps", words)
    unplayed = Clip(None, f"{name}, unplayed", f"{name} again", words=words)
    return Clips(
        f"Sounds of {name}", [ClipRow(name, [original, decode, unplayed], f"It was the best {name}.")], name
    )


def section(name: str = "jpeg", *, figures: bool = True) -> Section:
    columns = [
        Column("spec", "setting", right=False),
        Column("score", "top-1 % (95 %)"),
        Column("encode", "enc ms", 10),
    ]
    rows = [
        {"codec": "none", "spec": "none", "score": "90.0 (75–100)", "encode": "77.77"},
        {"codec": name, "spec": escape(name), "score": "[red]60.0 (40–80)[/red]", "encode": "1"},
        {"codec": name, "spec": escape(name), "score": "[bold]61.0[/bold]", "encode": "1"},
    ]
    drawn = [histogram(name), dots(name), scatter(name), pictures(), clips(name)] if figures else []
    return Section(
        f"embedded · {name}",
        f"{name} keeps 90.0 % of top-1.",
        Table(columns, rows, group="codec"),
        curve=curve(name) if figures else None,
        notes=[f"20 samples of {name}."],
        figures=drawn,
    )


HOW = {"command": "mpq report runs/first --html a.html", "plan": "codecs:\n  - jpeg"}


def test_a_page_is_well_formed_and_whole() -> None:
    read = Read(page("A report", [section(), section("webp")], how=HOW))
    tags = [tag for tag, _ in read.elements]
    assert tags.count("table") == 2
    assert tags.count("svg") == 2 * 4 * 2  # four figures, for two widths
    assert tags.count("img") == 2 * 3
    assert tags.count("audio") == 2 * 2
    assert {
        "jpeg keeps 90.0\N{NO-BREAK SPACE}% of top-1.",
        "webp keeps 90.0\N{NO-BREAK SPACE}% of top-1.",
    } <= set(read.texts("p"))
    assert read.texts("dd") == list(HOW.values())
    assert [a["href"] for tag, a in read.elements if tag == "a"] == ["#s1", "#s2"]
    names = [a["id"] for _, a in read.elements if "id" in a]
    assert len(names) == len(set(names))


def test_the_answer_comes_before_the_table_and_the_table_before_the_figures() -> None:
    text = page("A report", [section()])
    places = [text.index(mark) for mark in ('<p class="answer">', "<table>", 'class="notes"', "<svg", "<img")]
    assert places == sorted(places)


def test_no_reference_leaves_the_page() -> None:
    text = page("A report", [section(HOSTILE)], how={HOSTILE: HOSTILE})
    read = Read(text)
    for tag, attributes in read.elements:
        assert tag not in (
            "script",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "foreignobject",
            "animate",
        ), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                assert value.startswith(("#", "data:")), (tag, name, value)
            if name != "alt" and name != "title" and name != "aria-label":
                assert all(inner.startswith("#") for inner in re.findall(r"url\(\s*['\"]?([^)]*)", value)), (
                    value
                )
    (style,) = read.texts("style")
    assert "url(" not in style and "@import" not in style
    (policy,) = [a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_hostile_names_are_shown_and_do_nothing() -> None:
    hostile = section(HOSTILE)
    row = PictureRow(
        HOSTILE, replace(pictures().rows[0].lead or _none(), name=HOSTILE, caption=HOSTILE), {HOSTILE: []}
    )
    read = Read(page(HOSTILE, [hostile, section(HOSTILE, figures=False), _of(row)], how={HOSTILE: HOSTILE}))
    for tag in ("title", "h1", "h3", "h4", "dt", "dd", "th"):
        assert HOSTILE in "".join(read.texts(tag)), tag
    assert any(a.get("alt") == HOSTILE for tag, a in read.elements if tag == "img")
    assert read.texts("script") == []


def _none() -> Picture:
    raise AssertionError("the row has a lead")


def _of(row: PictureRow) -> Section:
    return Section("pictures", "…", Table([], []), figures=[Pictures("p", [row])])


def test_markup_of_cells_becomes_classes_and_nothing_else() -> None:
    cells = {
        "[red]−15.0 (−35…−5)[/red]": [("bad", "−15.0"), ("bad", "(−35…−5)")],
        "[bold green]x[/bold green] y": [("good strong", "x")],
        "[link=javascript:alert(1)]go[/link]": [],
        "[blink on red]go[/]": [("bad", "go")],
        r"\[red]IMG\[/red].png": [],
    }
    table = Table([Column("n", "n", right=False), Column("c", "c")], [{"n": "1", "c": c} for c in cells])
    text = page("t", [Section("s", "a", table)])
    for expected in cells.values():
        for name, words in expected:
            assert f'<span class="{name}">{words}</span>' in text
    assert "javascript" not in text
    assert "[red]IMG[/red].png" in text


def test_a_name_that_is_no_utf8_can_be_written(tmp_path: Path) -> None:
    text = page("a\udcffb", [section("\udce9\x00\x1b[31m")])
    (tmp_path / "a.html").write_text(text, encoding="utf-8")
    assert r"a\udcffb" in text
    assert "\x00" not in text and "\x1b" not in text
    assert "\u202e" not in page("gpj\u202e.exe", [])  # would be shown as gpjexe.


def test_bands_asides_and_figures_of_the_table() -> None:
    text = page("t", [section(figures=False)])
    assert "enc ms" not in text and "77.77" not in text  # differs from run to run
    assert text.count('<tr class="band">') == 1
    assert '<td class="right">90.0 <span class="interval"' in text
    read = Read(text)
    assert read.texts("th")[:1] == ["setting"]
    assert [a for tag, a in read.elements if tag == "th" and a.get("scope") == "row"]


def test_the_same_report_is_the_same_page() -> None:
    assert page("t", [section()], how=HOW) == page("t", [section()], how=HOW)


def test_what_is_no_picture_is_refused() -> None:
    row = PictureRow("r", Picture(b"<svg onload=alert(1)>", "n"), {})
    with pytest.raises(ValueError, match="JPEG"):
        page("t", [_of(row)])


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="plays"):
        page("t", [Section("s", "a", Table([], []), figures=[clips(file=b"<svg onload=alert(1)>")])])


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("mp3:bitrate=16000", "mpeg"),
        ("opus:bitrate=12000", "ogg"),
        ("aac:bitrate=24000", "mp4"),
        ("vorbis:quality=0", "ogg"),
    ],
)
def test_bitstreams_are_known_by_their_first_bytes(spec: str, kind: str) -> None:
    (codec,) = parse_codec(spec)
    data = codec.encode(read_audio(sound())).data
    text = page("t", [Section("s", "a", Table([], []), figures=[clips(file=data)])])
    encoded = base64.b64encode(data).decode()
    assert f'src="data:audio/{kind};base64,{encoded}"' in text


def test_words_that_were_not_heard_are_struck_out_and_those_that_were_not_said_underlined() -> None:
    text = page("t", [Section("s", "a", Table([], []), figures=[clips()])])
    (line, _) = re.findall(r'<p class="words">(.*?)</p>', text)
    assert re.sub(r'<i class="unseen">[^<]*</i>', "", line) == (
        "it was <del>the best</del> <ins>a opus</ins> <del>of</del> <ins>old</ins> times"
    )
    assert re.findall(r'<i class="unseen">([^<]*)</i>', line) == [
        "said: ",
        "heard: ",
        "not heard: ",
        "not said: ",
    ]
    read = Read(text)
    assert read.texts("blockquote") == ["It was the best opus."]
    assert [a["aria-label"] for tag, a in read.elements if tag == "audio"] == [
        "opus, original",
        "opus, decode",
    ]
    assert all("controls" in a for tag, a in read.elements if tag == "audio")


def test_colours_have_names_beside_them_and_are_colours() -> None:
    def with_key(colour: str) -> str:
        figure = replace(pictures(), key={"sky & sea": colour})
        return page("t", [Section("s", "a", Table([], []), figures=[figure])])

    assert '<li><i style="background:#0072b2"></i>sky &amp; sea</li>' in with_key("#0072b2")
    with pytest.raises(ValueError, match="no colour"):
        with_key("url(http://evil.test)")


def test_a_section_without_table_or_figures_is_a_title_and_an_answer() -> None:
    read = Read(page("t", [Section("title", "answer", Table([Column("a", "a")], []))]))
    assert read.texts("h2") == ["title"] and read.texts("p") == ["answer"]
    assert "table" not in [tag for tag, _ in read.elements]


def test_the_catalogue_is_a_page_too() -> None:
    from mpq.catalogue import codecs_section, metrics_sections

    Read(page("What there is", [codecs_section(), *metrics_sections()]))


# In a browser


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs headless Chromium on a page: the printed DOM, or with ``shot`` a screenshot in that file."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("needs Chromium (Debian's package chromium)")
    profile = tmp_path_factory.mktemp("profile")

    def run(file: Path, width: int, height: int, *, dark: bool = False, shot: Path | None = None) -> str:
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--screenshot={shot}" if shot else "--dump-dom",
            file.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


MEASURE = """<script>addEventListener("load", () => {
const seen = (e) => e.getClientRects().length > 0;
const all = (s) => [...document.querySelectorAll(s)].filter(seen);
const size = (t) => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a;
const level = (t) => Math.abs(t.getScreenCTM().b) < 0.01;
parent.document.title = JSON.stringify([
  document.documentElement.clientWidth, document.documentElement.scrollWidth,
  all("svg").length, all("img").filter((i) => i.naturalWidth > 0).length,
  Math.min(...all("svg").map((s) => s.getBoundingClientRect().width)),
  Math.max(...all("svg text").map((t) => t.getBoundingClientRect().right)),
  Math.min(...all("svg text").filter(level).map(size)),
  Math.min(...all("audio").map((a) => a.getBoundingClientRect().width)),
  Math.max(...all("audio, .words, .key").map((a) => a.getBoundingClientRect().right)),
  Math.max(...all(".unseen").map((a) => a.getBoundingClientRect().width)),
]);
});</script>"""


def without_policy(text: str) -> str:
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_a_page_fits_phones_and_desktops(width: int, browse: Callable[..., str], tmp_path: Path) -> None:
    wide = replace(
        section("jpeg" * 12),
        table=Table([Column(str(i), f"column {i}") for i in range(30)], [{"0": "x" * 50}]),
    )
    file = tmp_path / "page.html"
    inner = without_policy(page("A report " + "x" * 80, [section(), wide], how=HOW)) + MEASURE
    # a browser's window is not as narrow as a phone, but a frame in it may be
    file.write_text(
        f'<title></title><iframe width={width} height=900 style="border:0" srcdoc="{html.escape(inner)}">'
    )
    title = re.search(r"<title>\[(.*?)\]</title>", browse(file, 1400, 1000))
    assert title is not None
    client, scroll, drawn, shown, narrowest, rightmost, smallest, player, heard, unseen = (
        float(n) for n in title[1].split(",")
    )
    assert client == width
    assert scroll <= width  # what is wider scrolls in its own box
    assert drawn == 2 * 4  # each figure once
    assert shown == 2 * 3
    assert narrowest > 0.8 * min(width, 480) and rightmost <= width
    assert smallest >= 8.9  # pixels: letters in a figure can be read
    assert player >= 240 and heard <= width  # a player has room for its controls
    assert unseen <= 1


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_figures_and_pictures_are_there_by_day_and_by_night(
    width: int, dark: bool, browse: Callable[..., str], tmp_path: Path
) -> None:
    file, shot = tmp_path / "page.html", tmp_path / "shot.png"
    file.write_text(page("A report", [section()], how=HOW))
    browse(file, width, 4000, dark=dark, shot=shot)
    seen = np.asarray(Image.open(shot).convert("RGB")).reshape(-1, 3)

    def count(colour: str) -> int:
        return int((seen == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=1).sum())

    assert tuple(seen[0]) == tuple(int(COLOURS["paper"][dark][i : i + 2], 16) for i in (1, 3, 5))
    assert count("#0000ff") > 1000 and count("#ffff00") > 1000  # the pictures themselves
    for name in ("good", "bad"):  # their frames
        assert count(COLOURS[name][dark]) > 100
    for name in ("series-1", "series-2"):  # lines and marks
        assert count(COLOURS[name][dark]) > 50
        assert count(COLOURS[name][not dark]) == 0


RULES = """<script>addEventListener("load", () => {
const box = document.querySelector(".table");
box.scrollLeft = 150;
const cells = [...document.querySelectorAll("tr.band > *")];
const { left, right } = box.getBoundingClientRect();
parent.document.title = JSON.stringify([box.scrollLeft, cells[0].getBoundingClientRect().top, left, right]);
});</script>"""


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_rules_between_codecs_go_through_the_column_that_stays(
    width: int, dark: bool, browse: Callable[..., str], tmp_path: Path
) -> None:
    columns = [Column(str(i), f"column {i}", right=i > 0) for i in range(30)]
    table = Table(columns, [{"0": "jpeg:quality=5", "1": "0.5"}, {"0": "webp", "1": "0.7"}], group="0")
    file, shot = tmp_path / "page.html", tmp_path / "shot.png"
    inner = without_policy(page("t", [Section("s", "a", table)])) + RULES
    file.write_text(
        f'<title></title><style>*{{margin:0}}</style><iframe width={width} height=900 style="border:0" '
        f'srcdoc="{html.escape(inner)}">'
    )
    title = re.search(r"<title>\[(.*?)\]</title>", browse(file, 1400, 1000, dark=dark))
    assert title is not None
    scrolled, top, left, right = (float(n) for n in title[1].split(","))
    assert scrolled == 150
    browse(file, 1400, 1000, dark=dark, shot=shot)
    rule = [int(COLOURS["rule"][dark][i : i + 2], 16) for i in (1, 3, 5)]
    line = np.asarray(Image.open(shot).convert("RGB"))[round(top), round(left) + 1 : round(right) - 1]
    assert (line == rule).all()  # from the column that stays to the edge, without a gap


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server's address and the requests that reach it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_no_request_goes_out_even_for_hostile_names(
    browse: Callable[..., str], listener: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, asked = listener
    name = f'"><img src={address}/name><style>body{{background:url({address}/style)}}</style>'
    file = tmp_path / "page.html"
    text = page(name, [section(name)], how={name: name})
    file.write_text(text)
    browse(file, 800, 900)
    assert asked == []
    # the policy holds even where an element does get in; and without it this test would notice
    planted = text.replace("<main>", f"<main><img src='{address}/planted'>")
    file.write_text(planted)
    browse(file, 800, 900)
    assert asked == []
    file.write_text(without_policy(planted))
    browse(file, 800, 900)
    assert asked == ["/planted"]


PLAY = """<script>addEventListener("load", () => {
document.title = JSON.stringify([...document.querySelectorAll("audio")].map((a) => a.duration));
});</script>"""


def test_a_browser_plays_the_sounds_under_the_pages_own_policy(
    browse: Callable[..., str], tmp_path: Path
) -> None:
    sample = read_audio(sound())
    files = [sound(), flac(sample)]
    for spec in ("mp3:bitrate=16000", "opus:bitrate=12000", "aac:bitrate=24000", "vorbis:quality=0"):
        (codec,) = parse_codec(spec)
        files.append(codec.encode(sample).data)
    row = ClipRow("t", [Clip(file, "n", "c") for file in files])
    text = page("t", [Section("s", "a", Table([], []), figures=[Clips("t", [row])])])
    assert "script-src" not in text
    asking = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'", 1)
    asking = asking.replace("</main>", f"</main>{PLAY}")

    def seconds(policed: str) -> list[str]:
        file = tmp_path / "page.html"
        file.write_text(policed)
        title = re.search(r"<title>\[(.*?)\]</title>", browse(file, 800, 900))
        assert title is not None
        return title[1].split(",")

    assert [float(one) for one in seconds(asking)] == pytest.approx([0.5] * len(files), abs=0.12)
    assert seconds(asking.replace("media-src data:; ", "")) == ["null"] * len(files)


def test_a_picture_keeps_its_shape(browse: Callable[..., str], tmp_path: Path) -> None:
    made = io.BytesIO()
    Image.new("RGB", (40, 80), "#0000ff").save(made, "PNG")
    row = PictureRow("r", None, {"": [Picture(made.getvalue(), "n")]})
    file, shot = tmp_path / "page.html", tmp_path / "shot.png"
    file.write_text(page("t", [Section("s", "a", Table([], []), figures=[Pictures("p", [row], height=120)])]))
    browse(file, 800, 900, shot=shot)
    blue = np.argwhere((np.asarray(Image.open(shot).convert("RGB")) == [0, 0, 255]).all(axis=2))
    height, width = blue.max(axis=0) - blue.min(axis=0) + 1
    assert (height, width) == (pytest.approx(120, abs=1), pytest.approx(60, abs=1))
