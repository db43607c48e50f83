"""The weights that ship with the suite: their cards, their size, and what they are worth."""

import re
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from mpq.codecs.base import Codec, parse_codec
from mpq.metrics.similarity import psnr
from mpq.models.base import load_model
from mpq.samples import ImageSample, read_image
from mpq.weights.sources import FOLDER, sha256_of

SPECS = [f"hyperprior-tiny:rate={rate}" for rate in (0.1, 0.2, 0.4)]
SPECS += [f"hific-tiny:rate={rate}" for rate in (0.1, 0.2)]


def test_every_file_has_a_card_that_is_its_own() -> None:
    files = sorted(FOLDER.glob("*.safetensors"))
    assert len(files) == len(SPECS) + 1
    for file in files:
        card = file.with_suffix(".md").read_text()
        assert f"`{sha256_of(file)}`" in card, file.name
        measured = ("mIoU",) if file.stem == "lite0-camvid" else ("bpp", "PSNR", "ST-LPIPS")
        for word in ("Architecture", "Trained on", "seed", "hours", *measured):
            assert word in card, (file.name, word)


def test_together_they_are_below_forty_megabytes() -> None:
    assert sum(file.stat().st_size for file in FOLDER.glob("*.safetensors")) < 40e6


def through(codec: Codec, samples: list[ImageSample]) -> tuple[float, float]:
    """bpp of the corpus, mean dB."""
    sent = [codec.transmit(sample) for sample in samples]
    bits = sum(8 * len(one.bitstream.data) for one in sent)
    pixels = sum(sample.width * sample.height for sample in samples)
    decibels = [psnr(a.pixels, b.decoded.pixels) for a, b in zip(samples, sent, strict=True)]
    return bits / pixels, mean(decibels)


def test_rates_are_about_those_of_their_names(photographs: list[Path]) -> None:
    samples = [read_image(path.read_bytes()) for path in photographs[:4]]
    for spec in SPECS:
        (codec,) = parse_codec(spec)
        bpp, _ = through(codec, samples)
        assert 0.4 < bpp / float(codec.values["rate"]) < 1.8, spec


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.4])
def test_the_hyperprior_beats_jpeg_by_one_and_a_half_decibels(rate: float, shared: Path) -> None:
    """On photographs that training did not see, against the cheapest JPEG that costs at least as much."""
    paths = sorted((shared / "bsds500" / "test").glob("*.jpg"))[:6]
    samples = [read_image(path.read_bytes()) for path in paths]
    (codec,) = parse_codec(f"hyperprior-tiny:rate={rate}")
    bpp, decibels = through(codec, samples)
    for quality in range(1, 60):
        (jpeg,) = parse_codec(f"jpeg:quality={quality}")
        jpeg_bpp, jpeg_decibels = through(jpeg, samples)
        if jpeg_bpp >= bpp:
            break
    assert decibels > jpeg_decibels + 1.5, (bpp, decibels, jpeg_bpp, jpeg_decibels)


def test_each_card_names_the_rate_that_it_measured() -> None:
    for file in FOLDER.glob("*-tiny-*.md"):
        (bpp,) = re.findall(rf"^\| {re.escape(file.stem)} \| ([\d.]+) \|", file.read_text(), re.MULTILINE)
        assert 0.8 < float(bpp) / float(file.stem.rsplit("-", 1)[-1]) < 1.25, file.name


def test_the_segmenter_is_worth_what_its_card_says(shared: Path) -> None:
    """On CamVid's test pictures, by torchmetrics and not by the suite's own sums."""
    metrics = pytest.importorskip("torchmetrics.classification")
    model = load_model("segmentation", "lite0-camvid").on("cpu")
    jaccard = metrics.MulticlassJaccardIndex(11, average="none", ignore_index=11)
    for path in sorted((shared / "camvid" / "test").glob("*.png")):
        mask = torch.from_numpy(np.array(Image.open(shared / "camvid" / "testannot" / path.name)))
        pixels = read_image(path.read_bytes()).image
        with torch.inference_mode():
            logits = model.network(model.preprocess(pixels)[None])
        sized = functional.interpolate(logits, size=mask.shape, mode="bilinear", align_corners=False)
        jaccard.update(sized.argmax(1), mask[None].long())
    card = (FOLDER / "lite0-camvid.md").read_text()
    (said,) = re.findall(r"mIoU ([\d.]+) %", card)[:1]
    assert jaccard.compute().mean().item() == pytest.approx(float(said) / 100, abs=5e-4) and float(said) > 66
    rows = [line for line in card.splitlines() if line.startswith("| .")]
    ious = [float(cell) for cell in rows[0].strip("| ").split("|")]
    assert np.allclose(jaccard.compute().numpy(), ious, atol=6e-4)
