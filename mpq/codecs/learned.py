"""What all learned codecs share: weights, the container, many pictures at once, and spot checks."""

from __future__ import annotations

import time
import zlib
from abc import abstractmethod
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mpq.codecs.base import Bitstream, Codec, CodecError, Parameter, Transmission, parse_codec
from mpq.codecs.container import Container, checksum, pack, unpack
from mpq.errors import UserError
from mpq.paths import user_path
from mpq.registry import codecs as registry
from mpq.samples import MAX_PIXELS, ImageSample
from mpq.weights.sources import cached, sha256_of

if TYPE_CHECKING:
    import torch

    from mpq.networks.coders import Coded, Coder

WEIGHTS = Parameter("weights", "", "a file to read instead of the usual weights")

SPOT_CHECK = 32
"""Of so many pictures, one is really decoded and compared with what its encoder handed over."""

WALK_PIXELS = 6_000_000
"""Pictures that are held at once between analysis and synthesis, in pixels: their latents take memory."""

RESIDENT_BYTES = 2 << 30
"""Networks that stay loaded in a process. Beyond this the newest is let go: blocks visit codecs in a cycle, so the
oldest is the next to be asked for."""


class LearnedCodec(Codec):
    """A network that analyses, an entropy coder, a network that synthesises.

    ``transmit_all`` hands over the encoder's own latents instead of decoding the stream, which a seeded share
    of real decodes guards; ``encode`` and ``decode`` always do what they say.
    """

    extension = ".mpq"
    licence: ClassVar[str] = ""
    """Of the usual weights."""
    _expected = ""
    """sha256 of the weights when they were made ready; '' before."""

    @property
    def url(self) -> str:
        """Where the usual weights come from; '' where they ship with the suite, or there are none."""
        return ""

    @property
    def place(self) -> Path:
        """Where the usual weights lie, or would."""
        return cached(self.url)

    @abstractmethod
    def published(self) -> Path:
        """The usual weights' file, fetched if need be. Raises UserError with what is lacking."""

    @abstractmethod
    def load(self, path: Path) -> Coder:
        """Raises UserError where the file does not fit."""

    @property
    def file(self) -> Path:
        """The weights in use. Raises UserError where they cannot be had."""
        named = str(self.values["weights"])
        return user_path(named) if named else self.published()

    def prepare(self) -> list[str]:
        """Also codes and really decodes one small picture: a machine where that differs is not to be trusted."""
        self._expected = self.weights_sha256
        (sent,) = self.transmit_all([_probe()])
        if isinstance(sent, CodecError):
            raise UserError(f"{self.spec} cannot code here: {sent}")
        if not np.array_equal(self.decode(sent.bitstream.data).pixels, sent.decoded.pixels):
            raise UserError(f"{self.spec}: this machine decodes another picture than its encoder holds")
        return []

    @classmethod
    def lacking(cls) -> str | None:
        if not cls.ladder:
            return None
        settings = [codec for codec in parse_codec(cls.name) if isinstance(codec, LearnedCodec)]
        here = sum(codec.place.is_file() for codec in settings)
        return f"weights: {here} of {len(settings)}" if here < len(settings) else None

    @property
    def coder(self) -> Coder:
        if self._expected not in ("", self.weights_sha256):
            raise UserError(f"{self.file} has changed since the sweep began")
        return _coder(self, self.file)

    @property
    def setting(self) -> str:
        """Weights of one's own by their name and what they are: a path may hold others tomorrow."""
        shown = super().setting
        if not (named := str(self.values["weights"])):
            return shown
        try:
            return shown.replace(named, f"{Path(named).name}@{self.weights_sha256[:8]}")
        except UserError:
            return shown

    @property
    def weights_sha256(self) -> str:
        path = self.file
        try:
            return _sha256(path, path.stat().st_mtime_ns)
        except OSError as error:
            raise UserError(f"the weights '{path}' cannot be read: {error.strerror}") from None

    @property
    def version(self) -> str:
        from importlib.metadata import version

        return f"container 1, compressai {version('compressai')}, weights {self.weights_sha256}"

    @property
    def identity(self) -> dict[str, Any]:
        # Which weights they are counts, not where they lie.
        values = {key: value for key, value in self.values.items() if key != "weights"}
        return {**super().identity, "values": values}

    @property
    def _model_id(self) -> bytes:
        return bytes.fromhex(self.weights_sha256)

    def encode(self, sample: ImageSample) -> Bitstream:
        import torch

        coder = self.coder
        with torch.inference_mode():
            try:
                (coded,) = coder.compress([self._latents(coder, sample)])
            except ValueError as error:
                raise CodecError(f"{self.spec}: {error}") from error
        return self._bitstream(sample, coded)

    def decode(self, data: bytes) -> ImageSample:
        import torch

        coder = self.coder
        content = unpack(data, coder.streams, self._model_id)
        rows, columns = coder.latent_size(content.height, content.width)
        if 256 * rows * columns > 2 * MAX_PIXELS:
            raise CodecError(f"the bitstream claims {content.width} × {content.height} pixels")
        with torch.inference_mode():
            coded = coder.decompress(list(content.streams), content.height, content.width)
            if checksum(coded.symbols) != content.checksum:
                raise CodecError(
                    "the bitstream decodes to other latents than were encoded: "
                    "it is damaged, or this machine computes the entropy parameters otherwise"
                )
            return self._picture(coder, coded, content.height, content.width)

    def transmit(self, sample: ImageSample) -> Transmission:
        self.coder  # noqa: B018 - read the weights before the clock runs
        return super().transmit(sample)

    def transmit_all(self, samples: list[ImageSample]) -> list[Transmission | CodecError]:
        results: list[Transmission | CodecError] = []
        batch: list[ImageSample] = []
        try:
            self.coder  # noqa: B018 - once for all: without weights no picture can be coded
        except UserError as error:
            return [CodecError(str(error)) for _ in samples]
        for sample in samples:
            pixels = sum(s.width * s.height for s in [*batch, sample])
            if batch and pixels > WALK_PIXELS:
                results += self._transmit_batch(batch)
                batch = []
            batch.append(sample)
        return results + (self._transmit_batch(batch) if batch else [])

    def _transmit_batch(self, samples: list[ImageSample]) -> list[Transmission | CodecError]:
        import torch

        coder = self.coder
        results: dict[int, Transmission | CodecError] = {}
        latents: dict[int, torch.Tensor] = {}
        spent: dict[int, float] = {}
        with torch.inference_mode():
            for i, sample in enumerate(samples):
                start = time.perf_counter()
                try:
                    latents[i] = self._latents(coder, sample)
                except Exception as error:  # memory, say: it costs this picture, not the block
                    results[i] = _as_codec_error(error)
                spent[i] = time.perf_counter() - start
            start = time.perf_counter()
            coded = _compressed(coder, latents, results)
            together = time.perf_counter() - start
            positions = sum(y.shape[2] * y.shape[3] for y in latents.values())
            for i, content in coded.items():
                share = together * latents[i].shape[2] * latents[i].shape[3] / positions
                try:
                    results[i] = self._handed_over(coder, samples[i], content, spent[i] + share)
                except Exception as error:
                    results[i] = _as_codec_error(error)
        return [results[i] for i in range(len(samples))]

    def _handed_over(self, coder: Coder, sample: ImageSample, coded: Coded, spent: float) -> Transmission:
        bitstream = self._bitstream(sample, coded)
        start = time.perf_counter()
        decoded = self._picture(coder, coded, sample.height, sample.width)
        synthesis = time.perf_counter() - start
        source = "encoder"
        if spot_checked(sample):
            start = time.perf_counter()
            really = self.decode(bitstream.data)
            synthesis = time.perf_counter() - start
            if not np.array_equal(really.pixels, decoded.pixels):
                raise CodecError(
                    f"{self.spec}: the bitstream decodes to another picture than the encoder holds"
                )
            source = "bitstream"
        return Transmission(bitstream, decoded, 1e3 * spent, 1e3 * synthesis, source)

    def _latents(self, coder: Coder, sample: ImageSample) -> torch.Tensor:
        import torch

        from mpq.networks.coders import picture_of

        latents = coder.analyse(picture_of(sample))
        if not bool(torch.isfinite(latents).all()):
            raise CodecError(f"{self.spec}: the latents are not finite")
        return latents

    def _bitstream(self, sample: ImageSample, coded: Coded) -> Bitstream:
        content = Container(sample.width, sample.height, tuple(coded.strings), checksum(coded.symbols))
        return Bitstream(pack(content, self._model_id), 8 * sum(map(len, coded.strings)))

    @staticmethod
    def _picture(coder: Coder, coded: Coded, height: int, width: int) -> ImageSample:
        import torch

        picture = coder.synthesise(coded.y_hat)[0, :, :height, :width]
        pixels = torch.round(picture * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return ImageSample(pixels)


def _compressed(
    coder: Coder, latents: dict[int, torch.Tensor], results: dict[int, Transmission | CodecError]
) -> dict[int, Coded]:
    """All together; where that fails, each alone, so that only the culprit's failure is put into ``results``."""
    if not latents:
        return {}
    try:
        return dict(zip(latents, coder.compress(list(latents.values())), strict=True))
    except Exception:
        coded = {}
        for i, y in latents.items():
            try:
                (coded[i],) = coder.compress([y])
            except Exception as error:
                results[i] = _as_codec_error(error)
        return coded


def is_learned(spec: str) -> bool:
    """Raises UserError for a codec that there is not."""
    return issubclass(registry.get(spec.partition(":")[0].strip()), LearnedCodec)


def _probe() -> ImageSample:
    """A small picture of waves and noise, always the same."""
    y, x = np.mgrid[:96, :80][..., None]
    waves = 128 + 80 * np.sin(x / (5 + np.arange(3))) * np.cos(y / 11)
    noise = np.random.default_rng(0).normal(0, 12, (96, 80, 3))
    return ImageSample(np.clip(waves + noise, 0, 255).astype(np.uint8))


def spot_checked(sample: ImageSample) -> bool:
    """Drawn by the picture's content, so that every codec and every run checks the same ones."""
    return zlib.crc32(sample.pixels.tobytes()) % SPOT_CHECK == 0


def _as_codec_error(error: Exception) -> CodecError:
    return error if isinstance(error, CodecError) else CodecError(f"{type(error).__name__}: {error}")


_resident: dict[tuple[Any, ...], tuple[Coder, int]] = {}
"""Codec, setting, file and its time -> the coder and its bytes."""


def _coder(codec: LearnedCodec, path: Path) -> Coder:
    """The process's one instance for this codec and file."""
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"the weights '{path}' cannot be read: {error.strerror}") from None
    setting = tuple(value for name, value in codec.values.items() if name != "weights")
    key = codec.name, setting, str(path), stamp
    if key not in _resident:
        coder = codec.load(path)
        size = sum(p.numel() * p.element_size() for p in coder.network.parameters())
        while _resident and size + sum(bytes_ for _, bytes_ in _resident.values()) > RESIDENT_BYTES:
            _resident.popitem()
        _resident[key] = coder, size
    return _resident[key][0]


@cache
def _sha256(path: Path, stamp: int) -> str:
    return sha256_of(path)
