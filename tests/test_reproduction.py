"""``mpq reproduce``: what is missing is said, what is other is not compared, and what is the same is."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpq.datasets.base import Dataset, Source, read_dataset
from mpq.errors import UserError
from mpq.published import BEANS, COMMON_VOICE, EXPERIMENTS, IMAGENET, MUSDB, XRAY
from mpq.published.experiment import Experiment
from mpq.reproduction import Request, pairs
from mpq.reproduction.preparation import plan_of, prepare, unlike_published
from mpq.reproduction.report import reproduction_sections
from mpq.reproduction.trial import Compared, Trial, averaged
from reports.content import Section
from reports.export import markdown, to_csv, to_json
from reports.stats import Estimate

# What is asked for


def test_rows_are_named_by_their_parts() -> None:
    every = Request().chosen
    assert len(every) == sum(len(e.rows) for e in EXPERIMENTS.values())
    (row,) = Request(rows=("imagenet/vit-b16/jpeg",)).chosen
    assert row.value == 0.639
    jpeg = Request(rows=("jpeg",)).chosen
    assert {row.experiment.name for row in jpeg} == {"imagenet", "ade20k", "xray", "beans"}
    both = Request(rows=("beans/webp", "musdb")).chosen
    assert {row.experiment.name for row in both} == {"beans", "musdb"}
    assert both == [row for row in every if row in both]  # in the order of the published figure


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            lambda: Request(rows=("imagnet",)),
            "no published row is called 'imagnet'; did you mean 'imagenet'?",
        ),
        (lambda: Request(rows=("",)), "no published row is called ''"),
        (lambda: Request(rows=("imagenet/opus",)), "no published row is called 'imagenet/opus'"),
        (
            lambda: Request(data={"imagnet": "."}),
            "--data: no row that is asked for has a 'imagnet'; did you mean",
        ),
        (
            lambda: Request(rows=("beans",), data={"imagenet": "."}),
            "--data: no row that is asked for has a 'imagenet'",
        ),
        (lambda: Request(weights={"vit": "f"}), "--weights: no row that is asked for has a 'vit'"),
        (
            lambda: Request(instead={"hifi": "x"}),
            "--instead: no row that is asked for has a 'hifi'; did you mean 'hific'?",
        ),
        (lambda: pairs(["imagenet"], "data"), "--data is NAME=VALUE here, not 'imagenet'"),
        (lambda: pairs(["=x"], "data"), "--data is NAME=VALUE here, not '=x'"),
        (lambda: pairs(["a=1", "a=2"], "weights"), "--weights names a twice"),
    ],
)
def test_a_wrong_name_is_one_sentence(made: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        made()
    assert sentence in str(error.value)


def test_specs_hold_equals_signs() -> None:
    assert pairs(["hific=hific-tiny:rate=0.2"], "instead") == {"hific": "hific-tiny:rate=0.2"}


# Without data


@pytest.fixture(scope="module")
def nothing() -> list[Section]:
    return reproduction_sections(prepare(Request()))


def test_without_data_every_row_says_so(nothing: list[Section]) -> None:
    overview, missing, *experiments = nothing
    assert overview.answer == "None of the 84 published numbers could be measured here."
    assert [section.title.partition(" ·")[0] for section in experiments] == [
        e.title for e in EXPERIMENTS.values()
    ]
    for section in experiments:
        assert all(row["ours"] == "no data" for row in section.table.rows)
        assert section.answer.startswith("Not measured: no data is named")
    options = {row["what"]: row["option"] for row in missing.table.rows}
    for name in EXPERIMENTS:
        assert f"--data {name}=" in options[f"{name}, data"]


def test_markdown_explains_its_letters_and_gives_them_in_order(nothing: list[Section]) -> None:
    seen = 0
    for section, text in zip(nothing, markdown(nothing).split("\n### "), strict=True):
        for row in section.table.rows:
            letters = row.get("differs", "").split()
            assert letters == sorted(letters)
            assert all(f"\n- {letter}: " in text for letter in letters)
            seen += len(letters) > 1
    assert seen


def test_data_is_asked_for_where_it_is_missing_only() -> None:
    trial = Trial(BEANS, BEANS.rows, lacking={"hific": "https://example.org/[hific].pt (not here)"})
    missing = reproduction_sections([trial])[1]
    assert "must be named" not in missing.answer and "weights" in missing.answer
    assert r"https://example.org/\[hific].pt (not here)" in markdown([missing])
    assert missing.data[0]["why"] == "https://example.org/[hific].pt (not here)"
    other = Trial(XRAY, XRAY.rows, lacking={"xray": "no data is named"})
    assert reproduction_sections([trial, other])[1].answer.startswith("Data must be named.")


def test_one_number_is_no_plural(tmp_path: Path) -> None:
    (trial,) = prepare(Request(rows=("beans/webp",)))
    trial.rows = trial.rows[:1]
    assert reproduction_sections([trial])[0].answer == "The published number could not be measured here."
    request = Request(rows=("imagenet/psnr/jpeg",), data={"imagenet": "embedded"}, limit=2, out=str(tmp_path))
    (trial,) = prepare(request)
    trial.run(workers=1)
    answer = reproduction_sections([trial])[0].answer
    assert answer.endswith("1 was measured of other data, model or codec, and is held against itself alone.")


def test_without_data_numbers_and_corrected_rates_stand_there(nothing: list[Section]) -> None:
    points = {(p["row"], p["score"]): p for s in json.loads(to_json(nothing))[2:] for p in s["points"]}
    hific = points["imagenet/vit-b16/hific", "top-1"]
    assert hific["published"] == 0.795
    assert hific["published_interval"] == pytest.approx(
        [0.7687, 0.8196], abs=2e-4
    )  # Clopper and Pearson, 795 of 1,000
    assert hific["printed_counts"] == "bytes"
    assert hific["corrected_rate"] == pytest.approx(8 * hific["printed_rate"])
    assert hific["inside"] is None and hific["ours"] is None and hific["same_quantity"] is False
    text = markdown(nothing)
    assert "| 0.0264 | 0.211 |" in text
    lines = to_csv(nothing[2:]).splitlines()
    assert len(lines) == 1 + sum(len(e.rows) for e in EXPERIMENTS.values())


def test_a_hub_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    request = Request(
        rows=("beans/jpeg",), data={"beans": "hf:AI-Lab-Makerere/beans@validation"}, out=str(tmp_path)
    )
    (trial,) = prepare(request)
    if trial.has_data:
        pytest.skip("the hub, or its cache, has the data")
    trial.run(workers=1)
    section = reproduction_sections([trial])[-1]
    assert section.answer.startswith("Not measured: the data set hf:AI-Lab-Makerere/beans cannot be had")
    assert not list(tmp_path.iterdir())


# Data that is not the published


@pytest.mark.parametrize(
    ("experiment", "names", "count", "more", "unlike"),
    [
        (IMAGENET, "ILSVRC2012_val_{:08d}", 3, {}, None),
        (IMAGENET, "n01440764_{}", 3, {}, "it holds n01440764_0.jpg, and ImageNet-1k has no such names"),
        (XRAY, "{}", 1165, {"classes": ("NORMAL", "PNEUMONIA")}, None),
        (XRAY, "{}", 1165, {"classes": ("cat", "dog")}, "its classes are not NORMAL, PNEUMONIA"),
        (XRAY, "{}", 1164, {"classes": ("NORMAL", "PNEUMONIA")}, "it has 1,164 samples, not 1,165"),
        (MUSDB, "{}", 50, {"name": "musdb18-hq-test"}, None),
        (MUSDB, "{}", 50, {"name": "musdb18-hq-train"}, "'musdb18-hq-train' is not musdb18-hq-test"),
        (COMMON_VOICE, "common_voice_en_{}", 900, {}, None),
        (COMMON_VOICE, "common_voice_de_{}", 900, {}, "it holds common_voice_de_0.jpg, and"),
        (IMAGENET, "{:06d}", 3, {"name": "hf:ILSVRC/imagenet-1k@validation#1000"}, None),
        (IMAGENET, "{:06d}", 3, {"name": "hf:ILSVRC/imagenet-1k@test"}, "is another data set of the hub"),
        (MUSDB, "{}", 50, {"name": "hf:x/y@validation"}, "is another data set of the hub"),
    ],
)
def test_other_data_is_told_apart(
    experiment: Experiment, names: str, count: int, more: dict, unlike: str | None
) -> None:
    sources = tuple(Source(names.format(i), Path(names.format(i) + ".jpg")) for i in range(count))
    dataset = Dataset(**{"name": "d", "sources": sources, **more})
    found = unlike_published(experiment, dataset)
    assert found is None if unlike is None else found is not None and unlike in found


def test_other_data_and_stand_ins_are_held_against_themselves_alone(tmp_path: Path) -> None:
    request = Request(
        rows=("imagenet/vit-b16/jpeg", "imagenet/vit-b16/none", "imagenet/psnr/jpeg"),
        data={"imagenet": "embedded"},
        instead={"vit-b16": "efficientnet-lite0"},
        limit=6,
        out=str(tmp_path),
    )
    (trial,) = prepare(request)
    assert trial.unlike is not None and "imagenet_" in trial.unlike
    trial.run(workers=1)
    none, jpeg, psnr = trial.compared()
    assert none.samples == jpeg.samples == 6
    assert jpeg.ours is not None and none.ours is not None and jpeg.change is not None
    assert jpeg.change.value == pytest.approx(jpeg.ours.value - none.ours.value)
    assert psnr.ours is not None and 20 < psnr.ours.value < 28
    assert {c.inside for c in (none, jpeg, psnr)} == {c.rate_inside for c in (none, jpeg, psnr)} == {None}
    overview, *_, section = reproduction_sections([trial])
    assert "3 were measured of other data, models or codecs" in overview.answer
    assert "is not the published data" in section.answer
    shown = {column.key for column in section.table.columns}
    assert shown.isdisjoint({"published", "printed", "corrected", "inside", "differs"})
    assert {row["of"] for row in section.table.rows} == {"efficientnet-lite0", ""}


# Data that may be the published


@pytest.fixture(scope="module")
def validation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs under names of ImageNet's validation set, with their truth."""
    folder = tmp_path_factory.mktemp("imagenet")
    lines = []
    for i, source in enumerate(read_dataset("embedded").sources[:8], start=1):
        name = f"ILSVRC2012_val_{i:08d}.JPEG"
        shutil.copy(source.path, folder / name)
        lines.append(f"{name} {source.label}")
    (folder / "val.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as google/vit-base-patch16-224 would be saved, of a small network that has learned nothing."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vit")
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32,
        patch_size=16, num_labels=1000,
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_published_data_is_compared(validation: Path, vit: Path, tmp_path: Path) -> None:
    request = Request(
        rows=("imagenet/vit-b16", "imagenet/psnr"),
        data={"imagenet": str(validation)},
        weights={"vit-b16": str(vit)},
        out=str(tmp_path),
    )
    (trial,) = prepare(request)
    assert trial.unlike is None
    trial.run(workers=1)
    compared = {c.row.name: c for c in trial.compared()}
    none, jpeg, psnr = (compared[f"imagenet/{n}"] for n in ("vit-b16/none", "vit-b16/jpeg", "psnr/jpeg"))
    assert (
        none.inside is False and jpeg.inside is False
    )  # it knows nothing, where the published is right at 80 %
    rates, decibels = _by_hand(validation)
    assert jpeg.rate is not None and jpeg.rate.value == pytest.approx(np.mean(rates))
    assert psnr.ours is not None and psnr.ours.value == pytest.approx(np.mean(decibels))
    assert jpeg.rate.low is not None and jpeg.rate.high is not None
    assert jpeg.rate_inside is (jpeg.rate.low <= 0.264746 <= jpeg.rate.high)
    if "hific" in trial.lacking:
        assert compared["imagenet/vit-b16/hific"].why == "no codec"
    overview, *_, section = reproduction_sections([trial])
    assert "measured here" in overview.answer and "are held against themselves" not in overview.answer
    assert "8 here" in section.title
    lines = {(row["of"], row["codec"]): row for row in section.table.rows}
    assert "no" in lines["vit-b16", "JPEG q5"]["inside"]
    assert any(note.startswith("a: ") for note in section.notes)


def _by_hand(folder: Path) -> tuple[list[float], list[float]]:
    """Bits a pixel and PSNR of JPEG at quality 5, as anybody would take them."""
    rates, decibels = [], []
    for path in sorted(folder.glob("*.JPEG")):
        original = Image.open(path).convert("RGB")
        file = io.BytesIO()
        original.save(file, "JPEG", quality=5)
        rates.append(8 * len(file.getvalue()) / (original.width * original.height))
        a, b = (np.asarray(image.convert("RGB"), np.float64) for image in (original, Image.open(file)))
        decibels.append(10 * np.log10(255**2 / np.mean((a - b) ** 2)))
    return rates, decibels


def test_rates_and_similarities_need_no_published_model(validation: Path, tmp_path: Path) -> None:
    request = Request(
        rows=("imagenet/resnet-18/webp", "imagenet/psnr/webp"),
        data={"imagenet": str(validation)},
        out=str(tmp_path),
    )
    (trial,) = prepare(request)
    if trial.models:
        pytest.skip("resnet-18's weights are here")
    trial.run(workers=1)
    resnet, psnr = trial.compared()
    assert resnet.ours is None and resnet.why == "no model"
    assert resnet.rate is not None and resnet.rate_inside is not None
    assert psnr.inside is not None
    section = reproduction_sections([trial])[-1]
    assert any("efficientnet-lite0 ran for the sake of rates" in note for note in section.notes)


def test_what_the_user_names_must_fit(validation: Path, tmp_path: Path) -> None:
    data, out = {"imagenet": str(validation)}, str(tmp_path)
    with pytest.raises(UserError, match="do not exist"):
        prepare(Request(("imagenet/vit-b16/jpeg",), data, weights={"vit-b16": str(tmp_path / "no")}, out=out))
    with pytest.raises(UserError, match="unknown model"):
        prepare(Request(("imagenet/vit-b16/jpeg",), data, instead={"vit-b16": "efficientnet-lite9"}, out=out))
    with pytest.raises(UserError, match="is 2 settings; it takes the place of one"):
        prepare(Request(("imagenet/vit-b16/jpeg",), data, instead={"jpeg": "jpeg:quality=5,6"}, out=out))
    with pytest.raises(UserError, match="neither a folder nor a data set"):
        prepare(Request(("imagenet/vit-b16/jpeg",), {"imagenet": "nowhere"}, out=out))
    with pytest.raises(UserError, match="limit is at least 1"):
        prepare(Request(("imagenet/vit-b16/jpeg",), data, limit=0, out=out))


def test_common_voice_is_read_by_dev_tsv(tmp_path: Path) -> None:
    folder = tmp_path / "cv" / "en"
    folder.mkdir(parents=True)
    (folder / "dev.tsv").write_text("path\tsentence\n")
    trial = Trial(COMMON_VOICE, [row for row in COMMON_VOICE.rows if row.numbers.kind == "score"])
    plan = plan_of(trial, Request(data={"common-voice": str(tmp_path / "cv")}))
    assert plan.data == f"commonvoice:{tmp_path / 'cv'}"
    assert plan.labels == str(folder / "dev.tsv")
    assert plan_of(trial, Request(data={"common-voice": str(tmp_path)})).labels is None


# By hand


def test_inside_is_within_both_ends() -> None:
    row = next(row for row in BEANS.rows if row.codec == "webp")
    assert row.value is not None

    def inside(low: float | None, high: float | None, own: bool = False) -> bool | None:
        return Compared(row, Estimate(0.95, low, high), own=own).inside

    assert inside(0.9, 0.99) is True
    assert inside(row.value, row.value) is True
    assert inside(0.96, 0.99) is inside(0.9, 0.95) is False
    assert inside(None, None) is inside(0.9, 0.99, own=True) is Compared(row).inside is None
    assert Compared(row, Estimate(0.95, 0.95, 0.95), samples=1).inside is None


def test_the_mean_of_decibels_is_not_the_decibels_of_the_mean() -> None:
    distances = np.array(
        [0.1, 0.001, 0.0, np.nan]
    )  # the third is equal to its original, the fourth could not be coded
    each, whole = averaged(distances, "mean of dB"), averaged(distances, "dB of mean")
    assert each is not None and each.value == pytest.approx((10 + 30) / 2)
    assert whole is not None and whole.value == pytest.approx(-10 * np.log10(0.101 / 3))
    for estimate in (each, whole):
        assert estimate.low is not None and estimate.high is not None
        assert estimate.low < estimate.value < estimate.high
    psnr = averaged(np.array([20.0, 30.0, np.inf]), "mean")
    assert psnr is not None and psnr.value == pytest.approx(25)
    assert averaged(np.array([np.inf, np.nan]), "mean") is averaged(np.zeros(3), "mean of dB") is None
