"""Galleries: what they say against the rows, what they show against decodes made apart, and what is gone."""

from __future__ import annotations

import io
import itertools
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mpq.audio import read_audio
from mpq.audio_files import wav
from mpq.codecs.base import parse_codec
from mpq.codecs.pillow import JPEG
from mpq.datasets.base import read_dataset
from mpq.gallery import galleries as module
from mpq.gallery.base import Gallery
from mpq.gallery.choice import EqualRate, equal_rate
from mpq.gallery.classes import class_losses
from mpq.gallery.galleries import galleries, with_galleries
from mpq.gallery.recoding import Material
from mpq.metrics.transcripts import normalised
from mpq.models.classification.labels import imagenet_1k
from mpq.plan import Plan
from mpq.report import section
from mpq.samples import read_image
from mpq.store import Store
from mpq.summary import Group, Point, summarize
from mpq.sweep import Sweep
from reports.content import Clips, Dots, Figure, Picture, PictureRow, Pictures
from reports.html import page
from tests.reports.test_html import Read
from tests.tasks.test_segmentation import bands, scenes  # noqa: F401 - fixtures
from tests.tasks.test_separation import RATE, halves  # noqa: F401 - a fixture
from tests.test_summary import _cell

CODECS = ("jpeg:quality=5,25,60", "webp:quality=0,20")


def swept(folder: Path, plan: Plan) -> Store:
    store, made = Store(folder), Sweep.prepare(plan)
    store.write_invocation({"plan": made.described})
    made.run(store, workers=1)
    return store


def grouped(store: Store) -> list[Group]:
    return summarize(store.read(), resamples=200)


def rows_of(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    """(setting, sample) -> row."""
    rows = [row for _, table in store.read() for row in table.to_pylist()]
    return {(f"{r['codec']}:{r['setting']}".rstrip(":"), r["sample"]): r for r in rows}


def pictures_of(row: PictureRow) -> list[Picture]:
    return [*([row.lead] if row.lead else []), *(p for strip in row.strips.values() for p in strip)]


def shown(gallery: Gallery, kind: type[Figure] = Pictures) -> list[Any]:  # type: ignore[valid-type]
    return [figure for figure in gallery.figures if isinstance(figure, kind)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight of the embedded photographs, labelled by a table."""
    folder = tmp_path_factory.mktemp("photographs")
    lines = ["file,label"]
    for source in read_dataset("embedded").sources[:8]:
        shutil.copy(source.path, folder / source.path.name)
        lines.append(f"{source.path.name},{source.label}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def store(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return swept(tmp_path_factory.mktemp("run"), Plan(data=str(data), codec=CODECS, similarity=()))


@pytest.fixture(scope="module")
def group(store: Store) -> Group:
    (group,) = grouped(store)
    return group


@pytest.fixture(scope="module")
def gallery(store: Store, group: Group) -> Gallery:
    (gallery,) = galleries(store, [group])
    return gallery


# Classification


def test_what_stands_under_a_picture_is_the_rows_prediction(store: Store, gallery: Gallery) -> None:
    rows, labels = rows_of(store), imagenet_1k()
    equal, first = shown(gallery)
    assert len(equal.rows) == 6 and first.rows
    for row in (*equal.rows, *first.rows):
        for picture in pictures_of(row):
            sample, spec = re.split(" through |, ", picture.name)
            found = rows["none" if spec == "original" else spec, sample]
            share = found["top5_probabilities"][0]
            assert picture.caption == f"{labels.title(found['prediction'])} {100 * share:.0f} %"
            assert picture.frame == ("right" if found["top1"] else "wrong")
            bpp = found["bits"] / found["width"] / found["height"]
            spelled = re.fullmatch(rf"{re.escape(spec)}, ([\d.]+) bpp", picture.subtitle)
            assert spelled is not None and float(spelled[1]) == pytest.approx(bpp, rel=0.006)
            assert row.title.startswith(f"{sample} · label {labels.title(found['label'])}")


def test_what_is_shown_is_what_was_decoded(data: Path, gallery: Gallery) -> None:
    equal, _ = shown(gallery)
    for row in equal.rows:
        for picture in pictures_of(row):
            sample, spec = re.split(" through |, ", picture.name)
            original = read_image((data / sample).read_bytes())
            image = original.image
            if spec != "original":
                (codec,) = parse_codec(spec)
                image = codec.decode(codec.encode(original).data).image
            seen = Image.open(io.BytesIO(picture.file)).convert("RGB")
            assert seen.height <= 320
            apart = [np.asarray(i.resize(seen.size), dtype=float) for i in (image, original.image)]
            errors = [np.mean((np.asarray(seen) - one) ** 2) for one in apart]
            assert errors[0] < 40  # of a WebP: 32 dB
            if spec == "jpeg:quality=5":
                assert errors[0] < errors[1] / 2


def test_one_setting_a_codec_the_nearest_to_the_rate_that_is_recommended(group: Group) -> None:
    points = [p for p in group.points if not p.is_baseline]
    chosen = equal_rate(group, points, 1.0, 0.01)
    assert len(chosen.points) == 2 and "recommended" in chosen.why
    for codec in ("jpeg", "webp"):
        (taken,) = (p for p in chosen.points if p.codec == codec)
        ratios = {p.spec: abs(math.log(p.rate.value / chosen.rate)) for p in points if p.codec == codec}
        assert ratios[taken.spec] == min(ratios.values())


def test_answers_that_change_first_are_those_of_a_plain_loop(
    store: Store, group: Group, gallery: Gallery
) -> None:
    rows = rows_of(store)
    rates = {p.spec: p.rate.value for p in group.points if not p.is_baseline}
    first: dict[str, tuple[float, str]] = {}
    for (spec, sample), row in rows.items():
        if spec != "none" and row["prediction"] != rows["none", sample]["prediction"]:
            first[sample] = max(first.get(sample, (0.0, "")), (rates[spec], spec))
    _, figure = shown(gallery)
    assert f"Of {len(first)} samples" in figure.note
    found = []
    for row in figure.rows:
        (strip,) = row.strips.values()
        sample, _, spec = strip[-1].name.partition(" through ")
        found.append((rates[spec], sample))
        assert first[sample] == (rates[spec], spec)
        if len(strip) == 2:  # more bits, and the answer of the original
            assert row.lead is not None
            assert (
                strip[0].caption.rpartition(" ")[0].rpartition(" ")[0]
                == (row.lead.caption.rpartition(" ")[0].rpartition(" ")[0])
            )
            assert rates[strip[0].name.partition(" through ")[2]] > rates[spec]
        settings = sum(rows[one, sample]["prediction"] != rows["none", sample]["prediction"] for one in rates)
        assert f"changed at {settings} of {len(rates)} settings" in row.title
    assert [rate for rate, _ in found] == sorted((rate for rate, _ in first.values()), reverse=True)[
        : len(found)
    ]
    assert len({sample for _, sample in found}) == len(found) == min(6, len(first))


def test_each_sample_is_labelled_for_why_it_is_there(store: Store, group: Group, gallery: Gallery) -> None:
    rows = rows_of(store)
    equal, _ = shown(gallery)
    specs = [p.name.partition(" through ")[2] for strip in equal.rows[0].strips.values() for p in strip]
    names = {sample for _, sample in rows}
    changed = {
        name: sum(rows[spec, name]["prediction"] != rows["none", name]["prediction"] for spec in specs)
        for name in names
    }
    whys = [row.title.rpartition(" · ")[2] for row in equal.rows]
    first = [why for why in whys if why != "drawn at random"]
    assert whys == first + ["drawn at random"] * (len(whys) - len(first))
    most = sorted(filter(None, changed.values()), reverse=True)
    assert first == [f"changed by {times} of {len(specs)} codecs" for times in most[: len(first)]]
    assert len(first) == min(3, len(most)) and len(specs) == 2


def test_a_sample_that_changes_and_was_drawn_is_said_to_be_drawn(data: Path, tmp_path: Path) -> None:
    plan = Plan(data=str(data), codec=("jpeg:quality=3",), similarity=())
    store = swept(tmp_path / "run", plan)
    (gallery,) = galleries(store, grouped(store))
    equal, first = shown(gallery)
    assert equal.rows[0].title.endswith("changed by 1 of 1 codec")
    drawn = {row.title.partition(" · ")[0] for row in equal.rows if row.title.endswith("drawn at random")}
    rows = rows_of(store)
    assert any(
        rows["jpeg:quality=3", name]["prediction"] != rows["none", name]["prediction"] for name in drawn
    )
    assert len(drawn) == 3
    assert first.rows[0].title.endswith("changed at 1 of 1 setting")


def test_without_labels_right_is_the_answer_on_the_original(data: Path, tmp_path: Path) -> None:
    plan = Plan(data=str(data), codec=("jpeg:quality=5",), similarity=(), no_labels=True)
    store = swept(tmp_path / "run", plan)
    (gallery,) = galleries(store, grouped(store))
    rows = rows_of(store)
    equal = shown(gallery)[0]
    assert "✓ is the answer on the original" in equal.note
    for row in equal.rows:
        assert row.lead is not None and row.lead.frame == "none"
        for picture in pictures_of(row)[1:]:
            sample, _, spec = picture.name.partition(" through ")
            assert picture.frame == ("right" if rows[spec, sample]["agreement"] else "wrong")
    assert not shown(gallery, Dots)


# What is gone


def copied(store: Store, data: Path, tmp_path: Path) -> tuple[Store, Path]:
    """The run and its data where they can be harmed; the plan's path is rewritten."""
    shutil.copytree(store.folder, tmp_path / "run")
    moved = tmp_path / "moved"
    shutil.copytree(data, moved)
    for file in (tmp_path / "run" / "invocations").glob("*.json"):
        file.write_text(file.read_text().replace(str(data), str(moved)))
    return Store(tmp_path / "run", create=False), moved


def test_a_data_folder_that_is_gone_is_a_sentence(
    store: Store, data: Path, group: Group, tmp_path: Path
) -> None:
    again, moved = copied(store, data, tmp_path)
    shutil.rmtree(moved)
    (gallery,) = galleries(again, [group])
    assert not shown(gallery)
    assert gallery.notes == [
        f"Pictures cannot be shown: '{moved}' is neither a folder nor a data set; data sets: "
        f"{', '.join(sorted(_data_sets()))}."
    ]
    (full,) = with_galleries([section(group)], [gallery])
    assert full.notes[-1] == gallery.notes[-1]
    assert str(moved) in page("t", [full])


def _data_sets() -> list[str]:
    from mpq.registry import datasets

    return list(datasets("classification").entries)


def test_a_file_that_is_another_now_is_not_shown(
    store: Store, data: Path, group: Group, tmp_path: Path
) -> None:
    again, moved = copied(store, data, tmp_path)
    files = sorted(moved.glob("*.jpg"))
    for file in files[1:]:
        shutil.copy(files[0], file)
    (gallery,) = galleries(again, [group])
    names = {
        picture.name.split()[0].rstrip(",")
        for f in shown(gallery)
        for r in f.rows
        for picture in pictures_of(r)
    }
    assert names <= {files[0].name}
    assert any("is another file now" in note for note in gallery.notes)


def test_a_codec_of_another_version_is_not_passed_off_as_the_runs(
    store: Store, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JPEG, "version", "another")
    (gallery,) = galleries(store, [group])
    specs = {picture.name for f in shown(gallery) for r in f.rows for picture in pictures_of(r)}
    assert any("webp" in name for name in specs) and not any("jpeg:" in name for name in specs)
    assert any("jpeg is another version here (another)" in note for note in gallery.notes)


def test_a_bitstream_that_comes_out_otherwise_is_not_shown(
    store: Store, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = JPEG.encode
    monkeypatch.setattr(
        JPEG, "encode", lambda self, sample: replace(b := encode(self, sample), data=b.data + b"\0")
    )
    (gallery,) = galleries(store, [group])
    assert any("makes other bits of" in note for note in gallery.notes)


def test_a_model_that_is_gone_leaves_numbers(
    store: Store, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mpq.errors import UserError
    from mpq.tasks.classification import Classification

    def load(self: Classification, spec: str, weights: Path | None) -> None:
        raise UserError("the weights went away")

    monkeypatch.setattr(Classification, "load", load)
    (gallery,) = galleries(store, [group])
    rows = rows_of(store)
    lead = shown(gallery)[0].rows[0].lead
    sample = lead.name.partition(", ")[0]
    assert lead.caption.startswith(f"class {rows['none', sample]['prediction']} ")
    assert "Classes are shown as numbers: the weights went away." in gallery.notes


def test_a_run_that_does_not_say_how_it_was_made_is_a_sentence(
    store: Store, group: Group, tmp_path: Path
) -> None:
    shutil.copytree(store.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "invocations")
    (gallery,) = galleries(Store(tmp_path / "run", create=False), [group])
    assert not shown(gallery)
    assert any("does not say where" in note for note in gallery.notes)


def test_data_sets_of_one_name_are_not_taken_for_each_other(data: Path, tmp_path: Path) -> None:
    files = sorted(data.glob("*.jpg"))
    for place, part in (("a", files[:3]), ("b", files[3:6])):
        (tmp_path / place / "same").mkdir(parents=True)
        for file in part:
            shutil.copy(file, tmp_path / place / "same" / file.name)
        plan = Plan(data=str(tmp_path / place / "same"), codec=("jpeg:quality=5",), similarity=())
        store = swept(tmp_path / "run", plan)
    groups = grouped(store)
    assert len(groups) == 2
    for one, gallery in zip(groups, galleries(store, groups), strict=True):
        bits = {p.samples for p in one.points}
        assert bits == {3} and not gallery.notes[1:]
        (figure, *_) = shown(gallery)
        jpeg = next(p for p in one.points if not p.is_baseline)
        seen = [p for row in figure.rows for p in pictures_of(row)]
        samples = {picture.name.split()[0].rstrip(",") for picture in seen}
        rows = [r for (spec, sample), r in rows_of(store).items() if spec == jpeg.spec and sample in samples]
        assert len(samples) == 3
        pixels = sum(r["width"] * r["height"] for r in rows)
        assert jpeg.rate.value == pytest.approx(sum(r["bits"] for r in rows) / pixels)


# Size


def test_the_page_stays_small_and_makes_no_request(group: Group, gallery: Gallery) -> None:
    text = page("t", with_galleries([section(group)], [gallery]))
    assert len(text.encode()) < 5_000_000
    sources = [a["src"] for tag, a in Read(text).elements if "src" in a]
    assert len(sources) > 20 and all(source.startswith("data:image/webp;base64,") for source in sources)
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text


@pytest.mark.parametrize("most", [400_000, 120_000, 1000])
def test_pictures_stay_within_their_bytes(
    most: int, store: Store, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BYTES", most)
    (gallery,) = galleries(store, [group])
    sizes = [len(p.file) for f in shown(gallery) for row in f.rows for p in pictures_of(row)]
    assert sum(sizes) <= most
    assert bool(sizes) == (most > 1000)
    if not sizes:
        assert any("too much room" in note for note in gallery.notes)


def test_codecs_that_are_slow_are_not_run_again(
    store: Store, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)
    (gallery,) = galleries(store, [group])
    assert not shown(gallery)
    assert any("too long" in note for note in gallery.notes)


# Classes


def _labelled(counts: dict[int, int], kept: dict[int, int]) -> tuple[Material, Point]:
    """Rows of ``counts`` samples a class, all right on the original, ``kept`` of them after jpeg."""
    labels = np.repeat(list(counts), list(counts.values()))
    after = np.concatenate([np.arange(n) < kept[c] for c, n in counts.items()])
    cells = []
    for codec, right in (("none", np.ones(len(labels))), ("jpeg", after)):
        identity, table = _cell(codec, 5, np.full(len(labels), 100), right)
        import pyarrow as pa

        place = table.schema.get_field_index("label")
        table = table.set_column(place, table.schema.field(place), pa.array(labels, pa.int32()))
        cells.append((identity, table))
    (group,) = summarize(cells, resamples=50)
    return Material(group, []), group.points[1]


def test_losses_of_classes_are_counted_one_by_one() -> None:
    material, jpeg = _labelled({7: 10, 3: 20, 5: 12, 9: 4}, {7: 10, 3: 5, 5: 9, 9: 0})
    chosen = EqualRate(1.0, [jpeg], "so")
    (figure,) = class_losses(material, chosen, [jpeg], lambda c: f"class {c}").figures
    assert isinstance(figure, Dots)
    assert figure.names == ["original", jpeg.spec]
    assert [(item.label, item.values) for item in figure.items] == [
        ("class 3", [100, 25]), ("class 5", [100, 75]), ("class 7", [100, 100]),
    ]  # fmt: skip
    assert "1 class of fewer than 10 samples is left out" in figure.note
    assert "up to 10 points" in figure.note


def test_classes_of_few_samples_are_told_to_be_so() -> None:
    material, jpeg = _labelled({7: 2, 3: 4}, {7: 1, 3: 4})
    chosen = EqualRate(1.0, [jpeg], "so")
    (figure,) = class_losses(material, chosen, [jpeg], str).figures
    assert isinstance(figure, Dots)
    assert [(item.label, item.values) for item in figure.items] == [("7", [100, 50]), ("3", [100, 100])]
    assert "have 4 samples at most, too few" in figure.note
    many = _labelled(dict.fromkeys(range(30), 2), dict.fromkeys(range(30), 1))
    gallery = class_losses(many[0], EqualRate(1.0, [many[1]], "so"), [many[1]], str)
    assert not gallery.figures and "2 samples at most" in gallery.notes[0]


@pytest.mark.parametrize("others", [2, 30])
def test_one_class_of_enough_samples_among_small_ones_is_said_to_be_the_only_one(others: int) -> None:
    counts = {99: 11} | dict.fromkeys(range(others), 2)
    material, jpeg = _labelled(counts, {99: 5} | dict.fromkeys(range(others), 2))
    found = class_losses(material, EqualRate(1.0, [jpeg], "so"), [jpeg], str)
    (said,) = [*found.notes, *(figure.note for figure in shown(found, Dots))]
    assert "nly one" in said and "10 samples or more" in said
    assert "11" not in said and "at most" not in said
    assert bool(found.figures) == (others == 2)


# Speech


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Store:
    plan = Plan(task="speech", codec=("mp3:bitrate=8000", "opus:bitrate=6000"), limit=3, similarity=())
    return swept(tmp_path_factory.mktemp("spoken"), plan)


def test_words_and_marks_are_the_rows_texts_and_errors(spoken: Store) -> None:
    (gallery,) = galleries(spoken, grouped(spoken))
    rows = rows_of(spoken)
    (figure,) = shown(gallery, Clips)
    assert len(figure.rows) == 3 and not gallery.notes
    errors = 0
    for row in figure.rows:
        sample = row.title.partition(" · ")[0]
        assert [clip.caption for clip in row.clips] == ["original", "mp3:bitrate=8000", "opus:bitrate=6000"]
        assert row.text == rows["none", sample]["reference"]
        for clip in row.clips:
            found = rows["none" if clip.caption == "original" else clip.caption, sample]
            said, heard = (
                " ".join(filter(None, (getattr(w, side) for w in clip.words))) for side in ("said", "heard")
            )
            assert said == normalised(found["reference"], "en")
            assert heard == normalised(found["hypothesis"], "en")
            count = {
                mark: sum(len((w.said or w.heard).split()) for w in clip.words if w.mark == mark)
                for mark in ("wrong", "missing", "extra")
            }
            assert list(count.values()) == [found[k] for k in ("substitutions", "deletions", "insertions")]
            assert all((w.said == w.heard) == (w.mark == "same") for w in clip.words)
            total = sum(count.values())
            assert f"{total or 'no'} error{'s' * (total != 1)} in {found['words']} words" in clip.subtitle
            errors += total
    assert errors > 5


def test_what_is_played_is_the_original_and_the_bitstreams(spoken: Store) -> None:
    (gallery,) = galleries(spoken, grouped(spoken))
    sources = {s.id: s for s in read_dataset("embedded", task="speech").sources}
    (figure,) = shown(gallery, Clips)
    for row in figure.rows:
        original = read_audio(sources[row.title.partition(" · ")[0]].read())
        for clip in row.clips:
            assert clip.file is not None
            if clip.caption == "original":
                played = read_audio(clip.file)
                assert played.rate == original.rate
                assert np.array_equal(played.samples, original.samples)  # 16 bits without any loss
            else:
                (codec,) = parse_codec(clip.caption)
                assert clip.file == codec.encode(original).data


def test_sounds_that_take_too_much_room_are_cut_or_left_out_and_words_stay(
    spoken: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most, cut in ((1_500_000, True), (40_000, False)):
        monkeypatch.setattr(module, "BYTES", most)
        (gallery,) = galleries(spoken, grouped(spoken))
        (figure,) = shown(gallery, Clips)
        files = [clip.file for row in figure.rows for clip in row.clips if clip.file is not None]
        assert sum(map(len, files)) <= most
        assert bool(files) == cut
        assert all(clip.words for row in figure.rows for clip in row.clips)
        assert any("too long" in note for note in gallery.notes) == (not cut)


@pytest.mark.usefixtures("halves")
def test_a_long_track_is_played_from_its_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, seconds = tmp_path / "tracks" / "test" / "long", 20
    place.mkdir(parents=True)
    time = np.arange(RATE * seconds) / RATE
    stems = {name: 0.2 * np.sin(2 * np.pi * f * time) for name, f in (("vocals", 440), ("drums", 300))}
    mixture = np.stack([sum(stems.values()) * np.exp(-time / 9)] * 2).astype(np.float32)
    for name in ("vocals", "drums", "bass", "other"):
        stem = np.stack([stems.get(name, 0 * time)] * 2).astype(np.float32)
        (place / f"{name}.wav").write_bytes(wav(stem, RATE))
    (place / "mixture.wav").write_bytes(wav(mixture, RATE))
    plan = Plan(
        task="separation", data=str(tmp_path / "tracks"), model=("halves",), codec=("mp3:bitrate=32000",), similarity=()
    )  # fmt: skip
    store = swept(tmp_path / "run", plan)
    monkeypatch.setattr(module, "BYTES", 150_000)
    (gallery,) = galleries(store, grouped(store))
    (figure,) = shown(gallery, Clips)
    (row,) = figure.rows
    whole, score = read_audio((place / "mixture.wav").read_bytes()), rows_of(store)["none", "long"]["sdr"]
    assert f"SDR {np.mean(score):.1f} dB".replace("-", "−") in row.clips[0].subtitle
    for clip in row.clips:
        assert clip.file is not None and not clip.words and "3 s from the middle" in clip.subtitle
        part = read_audio(clip.file)
        start = (whole.length - part.length) // 2
        assert 2 * part.rate <= part.length < 4 * part.rate
        apart = np.abs(part.samples - whole.samples[:, start : start + part.length]).max()
        assert apart == 0 if clip.caption == "original" else 0 < apart < 0.1


# Segmentation


@pytest.fixture
def segmented(bands: None, scenes: Path, tmp_path: Path) -> Store:  # noqa: F811
    plan = Plan(
        task="segmentation", data=str(scenes), model=("bands",), codec=CODECS, similarity=(), max_failures=0.5
    )
    return swept(tmp_path / "run", plan)


def test_masks_are_laid_over_what_they_are_of(segmented: Store, scenes: Path) -> None:  # noqa: F811
    (group,) = grouped(segmented)
    (gallery,) = galleries(segmented, [group])
    rows = rows_of(segmented)
    (figure,) = shown(gallery)
    assert set(figure.key) == {"dark", "middle", "bright"}
    assert len(set(figure.key.values())) == 3
    names = ("dark", "middle", "bright")
    for row in figure.rows:
        name = row.title.partition(" · ")[0]
        truth = np.array(Image.open(scenes / "masks" / Path(name).name))
        picture = np.array(Image.open(scenes / "images" / Path(name).name)).astype(float)
        assert row.lead is not None and row.lead.caption == "truth"
        laid = np.array(Image.open(io.BytesIO(row.lead.file)).convert("RGB")).astype(float)
        colours = np.array([[int(figure.key[n][i : i + 2], 16) for i in (1, 3, 5)] for n in names])
        errors = []
        for order in itertools.permutations(range(3)):  # as they should be, then with names exchanged
            tinted = 0.4 * picture + 0.6 * colours[np.array(order)[truth % 255 % 3]]
            expected = np.where((truth == 255)[..., None], picture, tinted)
            errors.append(np.mean((laid - expected) ** 2))
        assert errors[0] < min(errors[1:]) and errors[0] < np.mean(errors[1:]) / 3
        bare = truth == 255
        assert np.mean(np.abs(laid - picture)[bare]) < 0.3 * np.mean(np.abs(laid - picture)[~bare])
        pictures, answers = row.strips.values()
        assert [p.subtitle.partition(",")[0] for p in pictures] == [p.subtitle for p in answers]
        for answer in answers:
            found = rows["none" if answer.subtitle == "original" else answer.subtitle, name]
            assert answer.caption == f"{100 * found['correct'] / found['labelled']:.1f} % of pixels right"
            assert "mostly" in answer.name
    (dots,) = shown(gallery, Dots)
    points = {p.spec: p for p in group.points}
    for item in dots.items:
        of = [points["none" if spec == "original" else spec].parts[item.label] for spec in dots.names]
        assert item.values == pytest.approx([100 * value for value in of])


@pytest.mark.usefixtures("bands")
def test_without_masks_answers_are_held_against_the_originals(scenes: Path, tmp_path: Path) -> None:  # noqa: F811
    plan = Plan(
        task="segmentation", data=str(scenes / "images"), model=("bands",), codec=CODECS, similarity=()
    )
    store = swept(tmp_path / "run", plan)
    (gallery,) = galleries(store, grouped(store))
    (figure,) = shown(gallery)
    for row in figure.rows:
        assert row.lead is None
        _, answers = row.strips.values()
        assert answers[0].caption == "100.0 % of pixels as on the original"
    assert not shown(gallery, Dots)


def test_re_identification_has_a_page_of_its_own(tmp_path: Path) -> None:
    store = swept(tmp_path / "run", Plan(task="reid", codec=("jpeg:quality=5",), limit=8, similarity=()))
    groups = grouped(store)
    assert len(groups) == 2
    assert galleries(store, groups) == [Gallery(), Gallery()]
