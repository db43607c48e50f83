"""What the published code does to a number, shown on small data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import Resize

from mpq.audio import AudioSample, resampled
from mpq.codecs.base import parse_codec
from mpq.datasets.base import read_dataset
from mpq.metrics.segmentation import class_counts, jaccard_micro, mean_iou
from mpq.metrics.transcripts import normalised, word_errors
from mpq.samples import read_image
from mpq.weights.sources import locate


def enlarged_numbers(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w) class numbers -> (height, width), as the published ADE20K notebook enlarges them: interpolated."""
    return Resize((height, width), antialias=True)(torch.from_numpy(mask.astype(np.int64))[None, None])[
        0, 0
    ].numpy()


def enlarged_logits(mask: np.ndarray, height: int, width: int, classes: int) -> np.ndarray:
    """The same of what a sure network's logits would be, before the highest is taken."""
    sure = torch.nn.functional.one_hot(torch.from_numpy(mask.astype(np.int64)), classes).permute(2, 0, 1)[
        None
    ]
    grown = torch.nn.functional.interpolate(
        sure.float(), (height, width), mode="bilinear", align_corners=False
    )
    return grown.argmax(1)[0].numpy()


def test_interpolated_class_numbers_are_foreign_classes() -> None:
    truth = np.full((64, 64), 3)
    truth[:, 32:] = 100
    quarter = truth[::4, ::4]
    foreign = set(np.unique(enlarged_numbers(quarter, 64, 64))) - {3, 100}
    assert foreign and all(3 < c < 100 for c in foreign)
    assert set(np.unique(enlarged_logits(quarter, 64, 64, 101))) == {3, 100}

    def score(predicted: np.ndarray) -> float | None:
        counts = class_counts(truth, predicted, 150, None)
        return mean_iou(counts.intersections, counts.unions)

    assert score(enlarged_logits(quarter, 64, 64, 101)) == 1
    interpolated = score(enlarged_numbers(quarter, 64, 64))
    assert (
        interpolated is not None and interpolated < 0.7
    )  # the foreign classes count as classes, each with 0


def test_a_perfect_segmenter_loses_a_fifth_of_its_miou_by_it(shared) -> None:
    """True masks of CamVid at a quarter of their size, as SegFormer's logits are, and enlarged again."""
    files = sorted((shared / "camvid" / "testannot").glob("*.png"))[::6]
    sums = {"numbers": np.zeros((2, 11), np.int64), "logits": np.zeros((2, 11), np.int64)}
    for file in files:
        truth = np.array(Image.open(file))
        quarter, (height, width) = truth[::4, ::4], truth.shape
        for name, predicted in (
            ("numbers", enlarged_numbers(quarter, height, width)),
            ("logits", enlarged_logits(quarter, height, width, 12)),
        ):
            counts = class_counts(truth, predicted, 11, 11)
            sums[name] += np.stack([counts.intersections, counts.unions])
    interpolated, right = (mean_iou(*sums[name]) for name in ("numbers", "logits"))
    assert interpolated is not None and right is not None
    assert right > 0.78
    assert interpolated < 0.82 * right


def test_micro_jaccard_knows_no_rare_class() -> None:
    truth = np.zeros((20, 20), np.int64)
    truth[0, :10] = 1  # a fortieth of the picture
    counts = class_counts(truth, np.zeros_like(truth), 2, None)
    micro, macro = jaccard_micro(*counts[:2]), mean_iou(*counts[:2])
    right = counts.correct / counts.labelled
    assert micro == pytest.approx(right / (2 - right)) == pytest.approx(0.951, abs=5e-4)
    assert macro == pytest.approx((0.975 + 0) / 2)


def test_case_and_punctuation_are_not_words() -> None:
    said, heard = "Didn't Mr. Smith pay 20 pounds?", "didn't mister smith pay 20 pounds"
    raw = word_errors(said, heard)
    assert (raw.total, raw.length) == (4, 6)  # Didn't, Mr., Smith, pounds?
    assert word_errors(normalised(said, "en"), normalised(heard, "en")).total == 0


def test_pictures_of_0_to_255_look_nearer_than_they_are() -> None:
    """ST-LPIPS, a relative of LPIPS whose weights are here, in range and out of range."""
    from mpq.metrics.stlpips import stlpips
    from mpq.networks.coders import one_thread

    network, (codec,) = stlpips(), parse_codec("jpeg:quality=5")
    in_range, out_of_range = [], []
    with torch.inference_mode(), one_thread():
        for source in read_dataset("embedded").sources[:4]:
            original = read_image(source.read())
            a, b = (
                torch.tensor(s.pixels[:160, :160]).permute(2, 0, 1)[None].float() / 255
                for s in (original, codec.transmit(original).decoded)
            )
            in_range.append(float(network(a, b)))
            out_of_range.append(float(network(255 * a, 255 * b)))
    gained = -10 * np.log10(np.divide(out_of_range, in_range))
    assert (gained > 1.5).all()  # dB, where 2.9 are all that HiFiC is published to lie above mbt2018
    assert np.ptp(gained) > 1  # and another amount for every picture: no factor mends it


def test_cdpam_at_another_rate_and_scale() -> None:
    from mpq.metrics.cdpam import FILE, PACKAGE, RATE, cdpam_network

    if locate(PACKAGE, FILE) is None:
        pytest.skip("needs the weights in the wheel cdpam")

    network = cdpam_network()
    seconds = np.arange(RATE // 4) / RATE
    tone = np.sin(2 * np.pi * 220 * seconds) * (0.5 + 0.5 * np.sin(2 * np.pi * 12 * seconds))
    sound = AudioSample((0.3 * tone).astype(np.float32)[None], RATE)
    decoded = parse_codec("opus:bitrate=6000")[0].transmit(sound).decoded
    meant = network.between(sound.samples[0], decoded.samples[0])
    fed = [resampled(s.samples, RATE, 48_000)[0] / 32_768 for s in (sound, decoded)]
    assert (
        network.between(fed[0], fed[1]) < meant / 100
    )  # 20 dB and more of "quality" from the input's range alone
