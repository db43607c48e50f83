"""A trained codec's card: what it is, how it was made, and what it does to pictures, measured on real bitstreams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from mpq.codecs.base import Codec, CodecError, parse_codec
from mpq.codecs.trained import Trained
from mpq.errors import UserError
from mpq.metrics.similarity import psnr
from mpq.metrics.stlpips import STLPIPS, stlpips
from mpq.networks.trained import read_header
from mpq.samples import ImageSample, SampleError, read_image
from mpq.training.pictures import SUFFIXES
from mpq.weights.sources import sha256_of

RIVALS = {"jpeg": range(1, 96), "webp": range(96)}
"""Codec -> its qualities, among which the two whose rates enclose ours are sought."""


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
    if not samples:
        raise UserError(f"'{folder}' holds no pictures")
    metric = stlpips()
    ours = _quality(codec, samples, metric)
    rivals = {name: _rival(name, ours.bpp, samples, metric) for name in RIVALS}
    parameters = sum(p.numel() for p in codec.coder.network.parameters())
    return Card(
        weights,
        sha256_of(weights),
        architecture,
        configuration,
        training,
        parameters,
        len(samples),
        folder.name,
        ours,
        rivals,
    )


def _quality(codec: Codec, samples: list[ImageSample], metric: STLPIPS) -> Quality:
    bits, decibels, distances = 0, [], []
    for sample in samples:
        try:
            sent = codec.transmit(sample)
        except CodecError as error:
            raise UserError(f"{codec.spec}: {error}") from None
        bits += sent.bitstream.bits
        decibels.append(psnr(sample.pixels, sent.decoded.pixels))
        with torch.inference_mode():
            distances.append(float(metric(_tensor(sample), _tensor(sent.decoded))))
    return Quality(bits / _pixels(samples), mean(decibels), mean(distances))


def _rival(name: str, bpp: float, samples: list[ImageSample], metric: STLPIPS) -> Quality:
    qualities = RIVALS[name]

    def rate(quality: int) -> float:
        (codec,) = parse_codec(f"{name}:quality={quality}")
        return sum(codec.encode(sample).bits for sample in samples) / _pixels(samples)

    low, high = qualities[0], qualities[-1]
    if rate(low) >= bpp:
        return _quality(parse_codec(f"{name}:quality={low}")[0], samples, metric)
    while high - low > 1:  # rates grow with quality
        middle = (low + high) // 2
        low, high = (middle, high) if rate(middle) < bpp else (low, middle)
    below, above = (_quality(parse_codec(f"{name}:quality={q}")[0], samples, metric) for q in (low, high))
    part = math.log(bpp / below.bpp) / math.log(above.bpp / below.bpp)
    return Quality(
        bpp,
        below.psnr + part * (above.psnr - below.psnr),
        below.st_lpips + part * (above.st_lpips - below.st_lpips),
    )


def _pixels(samples: list[ImageSample]) -> int:
    return sum(sample.width * sample.height for sample in samples)


def _tensor(sample: ImageSample) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(sample.pixels)).permute(2, 0, 1)[None].float() / 255


def markdown(card: Card) -> str:
    """The card as a page to lie beside the weights."""
    training = card.training
    sizes = ", ".join(f"{key} {value}" for key, value in card.configuration.items())
    aim = f"{training['rate']} bpp" if training.get("rate") else f"λ = {training.get('rate_weight')}"
    lines = [
        f"# {card.path.name}",
        "",
        f"- **Architecture**: {card.architecture} ({sizes}), {card.parameters / 1e6:.2f} M parameters, "
        f"{card.path.stat().st_size / 1e6:.1f} MB in half precision",
        f"- **sha256**: `{card.sha256}`",
        f"- **Trained on**: {', '.join(training.get('data', []))}: {training.get('pictures')} pictures, "
        f"{training.get('batch')} crops of {training.get('crop')}² a step",
        f"- **Aim**: {aim}; {training.get('steps')} steps of rate and distortion, then "
        f"{training.get('adversarial_steps')} against a discriminator; seed {training.get('seed')}, "
        f"{training.get('hours')} hours"
        + (f"; started from {training['initial']}" if training.get("initial") else ""),
        "",
        f"Measured on {card.pictures} pictures of `{card.folder}`, whole files, real bitstreams "
        "(`mpq train card FILE --data FOLDER`):",
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
