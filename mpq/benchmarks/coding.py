"""A codec of CompressAI's zoo as this suite runs it, beside CompressAI itself and the networks alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from mpq.codecs.base import CodecError, parse_codec
from mpq.codecs.learned import LearnedCodec, spot_checked
from mpq.codecs.zoo import ZooCodec
from mpq.datasets.base import Source, read_dataset
from mpq.errors import UserError
from mpq.networks.coders import one_thread, picture_of
from mpq.samples import ImageSample, SampleError, read_image

SMALL, LARGE = (256, 256), (768, 512)
"""Width and height of the many small pictures and of the one large."""

GAIN = 3.0
"""Random weights' last analysis layer is this much stronger, so that there are symbols to code."""


@dataclass(frozen=True)
class Times:
    """Seconds on one thread for all pictures of a size; the median of the rounds, which take turns."""

    pictures: int
    size: tuple[int, int]
    theirs_encode: float
    theirs_decode: float
    sweep: float
    encode: float
    decode: float
    networks: float

    @property
    def speedup(self) -> float:
        return (self.theirs_encode + self.theirs_decode) / self.sweep


@dataclass(frozen=True)
class CodingBench:
    """identical: pictures whose streams equal CompressAI's; decoded: ours that CompressAI decodes to our picture."""

    spec: str
    weights: str
    bpp: float
    rounds: int
    times: tuple[Times, ...]
    identical: int
    decoded: int
    pictures: int


def coding_bench(spec: str, data: str, pictures: int, rounds: int) -> CodingBench:
    """Raises UserError where ``spec`` is not one setting of a zoo codec."""
    settings = parse_codec(spec if ":" in spec else f"{spec}:quality=1")
    codec, named = settings[0], settings[0].spec
    if len(settings) != 1 or not isinstance(codec, ZooCodec):
        raise UserError(f"'{spec}' is not one setting of a codec of CompressAI's zoo")
    with tempfile.TemporaryDirectory() as folder, one_thread(), torch.inference_mode():
        words = "its own weights"
        try:
            codec.prepare()
        except UserError:
            if codec.values["weights"]:
                raise  # a wrong file is no reason to time another
            words = "random weights (the published ones are not at hand)"
            codec = type(codec)(**{**codec.values, "weights": str(_random(codec, Path(folder)))})
        originals = [_read(source) for source in read_dataset(data, None).sources[: max(pictures, 20)]]
        small = [_cut(originals[i % len(originals)], SMALL) for i in range(pictures)]
        # One that is not really decoded besides: of sixteen pictures a share is, of one all or nothing.
        cuts = [_cut(image, LARGE) for image in originals]
        large = [next((cut for cut in cuts if not spot_checked(cut)), cuts[0])]
        identical, decoded = _agreement(codec, small + large)
        times = tuple(_times(codec, group, rounds) for group in (small, large))
        bits = sum(codec.encode(sample).bits for sample in small)
    pixels = len(small) * SMALL[0] * SMALL[1]
    return CodingBench(
        named,
        words,
        bits / pixels,
        rounds,
        times,
        identical,
        decoded,
        len(small) + len(large),
    )


def _random(codec: ZooCodec, folder: Path) -> Path:
    """A file in the zoo's format."""
    torch.manual_seed(0)
    network = codec.architecture()
    last = [layer for layer in network.g_a.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    last.weight.data.mul_(GAIN)
    network.update()
    path = folder / "random.pth.tar"
    torch.save(network.state_dict(), path)
    return path


def _cut(image: Image.Image, size: tuple[int, int]) -> ImageSample:
    return ImageSample(np.array(ImageOps.fit(image, size, Image.Resampling.BICUBIC)))


def _read(source: Source) -> Image.Image:
    try:
        return read_image(source.read()).image
    except (OSError, SampleError) as error:
        raise UserError(f"{source.id}: {error}") from None


def _agreement(codec: LearnedCodec, samples: list[ImageSample]) -> tuple[int, int]:
    coder = codec.coder
    network = coder.network
    coded = coder.compress([coder.analyse(picture_of(sample)) for sample in samples])
    identical = decoded = 0
    for sample, ours in zip(samples, coded, strict=True):
        theirs = network.compress(picture_of(sample))
        identical += [strings[0] for strings in theirs["strings"]] == ours.strings
        shape = theirs["shape"]
        picture = network.decompress([[string] for string in ours.strings], shape)["x_hat"]
        decoded += torch.equal(picture, coder.synthesise(ours.y_hat))
    return identical, decoded


def _times(codec: LearnedCodec, samples: list[ImageSample], rounds: int) -> Times:
    network = codec.coder.network
    tensors = [picture_of(sample) for sample in samples]
    streams: list[Any] = []
    files: list[bytes] = []

    def theirs_encode() -> None:
        streams[:] = [network.compress(x) for x in tensors]

    def theirs_decode() -> None:
        for stream in streams:
            network.decompress(stream["strings"], stream["shape"])

    def sweep() -> None:
        for result in codec.transmit_all(samples):
            if isinstance(result, CodecError):
                raise result

    def encode() -> None:
        files[:] = [codec.encode(sample).data for sample in samples]

    def decode() -> None:
        for file in files:
            codec.decode(file)

    def networks() -> None:
        for x in tensors:
            y = network.g_a(x)
            if hasattr(network, "h_a"):
                network.h_s(network.h_a(y))
            network.g_s(y)

    steps = (theirs_encode, theirs_decode, sweep, encode, decode, networks)
    takes: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for step, taken in zip(steps, takes, strict=True):
            taken.append(_seconds(step))
    size = (samples[0].width, samples[0].height)
    return Times(len(samples), size, *(median(taken) for taken in takes))


def _seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start
