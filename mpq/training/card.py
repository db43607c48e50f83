"""A trained codec's card: what it is, how it was made, and what it does to pictures, measured on real bitstreams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from mpq.codecs.base import Codec, CodecError, parse_codec
from mpq.codecs.trained import Trained
from mpq.errors import UserError
from mpq.metrics.similarity import psnr
from mpq.metrics.stlpips import STLPIPS, stlpips
from mpq.networks.coders import picture_of
from mpq.networks.trained import read_header
from mpq.samples import ImageSample, SampleError, read_image
from mpq.training.pictures import SUFFIXES
from mpq.weights.sources import sha256_of

RIVALS = {"jpeg": range(1, 96), "webp": range(96)}
"""Codec -> its qualities, among which the two whose rates enclose ours are sought."""


SMALLEST = 32
"""Side of a picture that ST-LPIPS can take, in pixels."""


@dataclass(frozen=True)
class Quality:
    """bpp: total bits / total pixels. psnr (dB) and st_lpips: means over pictures."""

    bpp: float
    psnr: float
    st_lpips: float


@dataclass(frozen=True)
class Card:
    """rivals: codec -> its quality at our rate, between two settings on a logarithmic rate axis; at its lowest
    rate where it cannot go as low."""

    path: Path
    sha256: str
    architecture: str
    configuration: dict[str, Any]
    training: dict[str, Any]
    parameters: int
    pictures: int
    folder: str
    ours: Quality
    rivals: dict[str, Quality]


def measure(weights: Path, folder: Path, limit: int | None) -> Card:
    """Codes the pictures of ``folder`` (the first ``limit`` by name). Raises UserError."""
    architecture, configuration, training = read_header(weights)
    codec = Trained(weights=str(weights))
    codec.prepare()
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)[:limit]
    samples = []
    for path in paths:
        try:
            samples.append(read_image(path.read_bytes()))
        except (OSError, SampleError) as error:
            raise UserError(f"'{path}': {error}") from None
        if min(samples[-1].width, samples[-1].height) < SMALLEST:
            raise UserError(f"'{path}': ST-LPIPS needs sides of {SMALLEST} pixels at least")
    if not samples:
        raise UserError(f"'{folder}' holds no pictures")
    bpp = _rate(codec, samples)
    around = {name: _around(name, bpp, samples) for name in RIVALS}
    settings = [codec, *(setting for pair in around.values() for setting in pair)]
    ours, *others = _qualities(settings, samples, stlpips())
    rivals = {name: _between(bpp, others[2 * i], others[2 * i + 1]) for i, name in enumerate(around)}
    parameters = sum(p.numel() for p in codec.coder.network.parameters())
    return Card(
        weights,
        sha256_of(weights),
        architecture,
        configuration,
        training,
        parameters,
        len(samples),
        "/".join(folder.resolve().parts[-2:]),
        ours,
        rivals,
    )


def _rate(codec: Codec, samples: list[ImageSample]) -> float:
    return sum(codec.encode(sample).bits for sample in samples) / _pixels(samples)


def _around(name: str, bpp: float, samples: list[ImageSample]) -> tuple[Codec, Codec]:
    """The neighbouring qualities whose rates enclose ``bpp``; twice the lowest where none is as low."""

    def at(quality: int) -> Codec:
        return parse_codec(f"{name}:quality={quality}")[0]

    low, high = RIVALS[name][0], RIVALS[name][-1]
    if _rate(at(low), samples) >= bpp:
        return at(low), at(low)
    while high - low > 1:  # rates grow with quality
        middle = (low + high) // 2
        low, high = (middle, high) if _rate(at(middle), samples) < bpp else (low, middle)
    return at(low), at(high)


def _between(bpp: float, below: Quality, above: Quality) -> Quality:
    if below.bpp == above.bpp:
        return below
    part = math.log(bpp / below.bpp) / math.log(above.bpp / below.bpp)
    return Quality(
        bpp,
        below.psnr + part * (above.psnr - below.psnr),
        below.st_lpips + part * (above.st_lpips - below.st_lpips),
    )


def _qualities(codecs: list[Codec], samples: list[ImageSample], metric: STLPIPS) -> list[Quality]:
    bits = [0] * len(codecs)
    decibels: list[list[float]] = [[] for _ in codecs]
    distances: list[list[float]] = [[] for _ in codecs]
    with torch.inference_mode():
        for sample in samples:
            features = metric.features(picture_of(sample))
            for i, codec in enumerate(codecs):
                try:
                    sent = codec.transmit(sample)
                except CodecError as error:
                    raise UserError(f"{codec.spec}: {error}") from None
                bits[i] += sent.bitstream.bits
                decibels[i].append(psnr(sample.pixels, sent.decoded.pixels))
                decoded = metric.features(picture_of(sent.decoded))
                distances[i].append(float(metric.distance(features, decoded)))
    pixels = _pixels(samples)
    return [Quality(b / pixels, mean(p), mean(d)) for b, p, d in zip(bits, decibels, distances, strict=True)]


def _pixels(samples: list[ImageSample]) -> int:
    return sum(sample.width * sample.height for sample in samples)


def markdown(card: Card) -> str:
    """The card as a page to lie beside the weights."""
    training = card.training
    sizes = ", ".join(f"{key} {value}" for key, value in card.configuration.items())
    aim = f"{training['rate']} bpp" if training.get("rate") else f"λ = {training.get('rate_weight')}"
    lines = [
        f"# {card.path.name}",
        "",
        f"- **Architecture**: {card.architecture} ({sizes}), {card.parameters / 1e6:.2f} M parameters, "
        f"{card.path.stat().st_size / 1e6:.1f} MB",
        f"- **sha256**: `{card.sha256}`",
        f"- **Trained on**: {', '.join(training.get('data', []))}: {training.get('pictures')} pictures, "
        f"{training.get('batch')} crops of {training.get('crop')}² a step",
        f"- **Aim**: {aim} on held-out pictures of those; {training.get('steps')} steps of rate and distortion, then "
        f"{training.get('adversarial_steps')} against a discriminator; seed {training.get('seed')}, "
        f"{training.get('hours')} hours"
        + "".join(
            f"; before that {run['steps']} and {run['adversarial_steps']} steps at {run['rate']} bpp, {run['hours']} hours"
            for run in reversed(training.get("initial") or [])
        ),
        "",
        f"Measured on the first {card.pictures} pictures of `{card.folder}`, whole pictures, real bitstreams "
        f"(`mpq train card FILE --data FOLDER --limit {card.pictures}`):",
        "",
        "| codec | bpp | PSNR, dB | ST-LPIPS |",
        "| --- | --- | --- | --- |",
    ]
    for name, quality in {card.path.stem: card.ours, **card.rivals}.items():
        lines.append(f"| {name} | {quality.bpp:.3f} | {quality.psnr:.2f} | {quality.st_lpips:.4f} |")
    lines += [
        "",
        "JPEG and WebP between the two qualities whose rates enclose this one's, or at their lowest quality.",
    ]
    return "\n".join(lines) + "\n"
