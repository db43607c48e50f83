"""What EnCodec and DAC share: weights as transformers saves them, and the bitstream.

A bitstream is a header (audio_container.py), the scales of chunks where the network has such (float32, a part of
the payload, because they are a part of the signal), and the codes, at exactly the bits that a code has. A network
of one channel codes channels one after the other; one of two codes a mono sound once, as two equal channels, of
which the decoder takes the mean.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cache, lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mpq.audio import AudioSample, resampled
from mpq.codecs.audio_container import header_of, pack, pack_codes, unpack, unpack_codes
from mpq.codecs.base import Bitstream, Codec, CodecError, Parameter, Transmission, parse_codec
from mpq.errors import UserError, first_line
from mpq.models.hub import quiet
from mpq.paths import user_path
from mpq.weights.sources import from_hub, sha256_of

if TYPE_CHECKING:
    from mpq.networks.audio_coders import AudioCoder

FOLDER = Parameter("weights", "", "a folder saved by transformers instead of the usual weights")

FILES = ("config.json", "model.safetensors")
"""Of a folder that transformers saved. The weights come last."""


class NeuralAudioCodec(Codec[AudioSample]):
    """model: the parameter that names one of ``repositories``.

    repositories: model -> its name on huggingface.co. rates: model -> Hz. licence: of the usual weights.
    """

    takes = ("audio",)
    extension = ".mpq"
    repositories: ClassVar[dict[str, str]]
    rates: ClassVar[dict[str, int]]
    licence: ClassVar[str]
    _expected = ""
    """sha256 of the weights when they were made ready; '' before."""

    @abstractmethod
    def load(self, path: Path) -> AudioCoder:
        """path: the weights, with their config.json beside them. Raises UserError where they do not fit."""

    @abstractmethod
    def layers(self, coder: AudioCoder) -> int:
        """How many codebooks this setting uses."""

    @property
    def repository(self) -> str:
        return self.repositories[str(self.values["model"])]

    @property
    def url(self) -> str:
        """Where the usual weights come from."""
        return f"https://huggingface.co/{self.repository}/resolve/main/{FILES[-1]}"

    @property
    def place(self) -> Path:
        """Where the usual weights lie, or would."""
        return _cached(self.repository) or _cache() / self.repository / FILES[-1]

    def published(self) -> Path:
        """The usual weights' file, fetched if need be. Raises UserError with what is lacking."""
        if here := _cached(self.repository):
            return here
        try:
            weights, _ = (from_hub(self.repository, file, self.spec) for file in reversed(FILES))
        except UserError as error:
            raise UserError(f"{error} (a folder with {' and '.join(FILES)})") from None
        return weights

    @property
    def file(self) -> Path:
        """The weights in use. Raises UserError where they cannot be had."""
        if not (named := str(self.values["weights"])):
            return self.published()
        folder = user_path(named)
        if lacking := [file for file in FILES if not (folder / file).is_file()]:
            raise UserError(
                f"'{named}' is no folder that transformers saved: it has no {' and no '.join(lacking)}"
            )
        return folder / FILES[-1]

    @property
    def coder(self) -> AudioCoder:
        """The process's one instance. Raises UserError."""
        if self._expected not in ("", self.weights_sha256):
            raise UserError(f"{self.file} has changed since the sweep began")
        file = self.file
        coder = _coder(type(self), str(self.values["model"]), file, _stamp(file))
        if self.layers(coder) not in coder.layers:
            raise UserError(
                f"{self.spec}: these weights have {_ranges(coder.layers)} codebooks, not {self.layers(coder)}"
            )
        return coder

    def prepare(self) -> list[str]:
        """Also codes a short sound and decodes it twice: a machine where that differs is not to be trusted."""
        self._expected = self.weights_sha256
        self.coder  # noqa: B018 - what is wrong with the weights is told first
        try:
            data = self.encode(_probe()).data
            once, again = (self.decode(data).samples for _ in range(2))
        except CodecError as error:
            raise UserError(f"{self.spec} cannot code here: {error}") from None
        if not np.array_equal(once, again):
            raise UserError(f"{self.spec}: this machine does not decode the same sound twice")
        return []

    @classmethod
    def lacking(cls) -> str | None:
        """The ladder's settings share their weights."""
        codec = parse_codec(cls.name)[0]
        assert isinstance(codec, NeuralAudioCodec)
        return None if codec.place.is_file() else f"no weights: mpq weights fetch {cls.name}"

    @property
    def setting(self) -> str:
        """Weights of one's own by their folder's name and what they are: a path may hold others tomorrow."""
        shown = super().setting
        if not (named := str(self.values["weights"])):
            return shown
        try:
            return shown.replace(named, f"{Path(named).name}@{self.weights_sha256[:8]}")
        except UserError:
            return shown

    @property
    def weights_sha256(self) -> str:
        return _sha256(self.file, _stamp(self.file))

    @property
    def version(self) -> str:
        file = self.file
        configuration = _sha256(file.with_name(FILES[0]), _stamp(file.with_name(FILES[0])))
        packages = ", ".join(
            f"{package} {version(package)}" for package in ("transformers", "torch", "scipy")
        )
        return f"container 1, {packages}, weights {self.weights_sha256}, configuration {configuration}"

    @property
    def identity(self) -> dict[str, Any]:
        # Which weights they are counts, not where they lie.
        values = {key: value for key, value in self.values.items() if key != "weights"}
        return {**super().identity, "values": values}

    @property
    def _decoder(self) -> bytes:
        """An id of what decodes."""
        file = self.file
        configuration = file.with_name(FILES[0])
        return sha256((self.weights_sha256 + _sha256(configuration, _stamp(configuration))).encode()).digest()

    def encode(self, sample: AudioSample) -> Bitstream:
        import torch

        from mpq.networks.coders import one_thread

        coder = self.coder
        layers = self.layers(coder)
        header = header_of(sample, layers, self.name)
        sound = resampled(sample.samples, sample.rate, coder.rate)
        with torch.inference_mode(), one_thread():
            coded = [coder.encode(stream, layers) for stream in _streams(sound, coder.channels)]
        codes = np.concatenate([each.codes for each in coded])
        scales = np.concatenate([each.scales for each in coded])
        payload = scales.astype("<f4").tobytes() + pack_codes(codes, coder.bits)
        return Bitstream(pack(header, payload, self._decoder), 32 * scales.size + coder.bits * codes.size)

    def decode(self, data: bytes) -> AudioSample:
        import torch

        from mpq.networks.audio_coders import Coded
        from mpq.networks.coders import one_thread

        coder = self.coder
        header, payload = unpack(data, self._decoder)
        if header.mode not in coder.layers:
            raise CodecError(f"the bitstream claims {header.mode} codebooks")
        length = -(-header.length * coder.rate // header.rate)
        streams = 1 if coder.channels == 2 else header.channels
        shape = streams, coder.frames(length), header.mode
        chunks = coder.chunks(length)
        codes = unpack_codes(payload[4 * streams * chunks :], int(np.prod(shape)), coder.bits).reshape(shape)
        scales = np.frombuffer(payload, "<f4", streams * chunks).reshape(streams, chunks)
        with torch.inference_mode(), one_thread():
            parts = [coder.decode(Coded(*part), length) for part in zip(codes, scales, strict=True)]
        sound = np.concatenate(parts)
        if len(sound) > header.channels:
            sound = sound.mean(axis=0, keepdims=True)
        samples = np.ascontiguousarray(resampled(sound, coder.rate, header.rate)[:, : header.length])
        if not np.isfinite(samples).all():
            raise CodecError(f"{self.spec} decodes to samples that are no numbers")
        return AudioSample(samples, header.rate)

    def transmit(self, sample: AudioSample) -> Transmission[AudioSample]:
        try:
            self.coder  # noqa: B018 - read the weights before the clock runs
        except UserError as error:
            raise CodecError(str(error)) from error
        return super().transmit(sample)


def read_network(kind: str, path: Path, spec: str) -> Any:
    """The network of class ``kind`` of transformers from the folder of ``path``. Raises UserError."""
    import torch
    import transformers

    quiet()
    try:
        network, report = getattr(transformers, kind).from_pretrained(
            path.parent,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except Exception as error:  # the library's own, safetensors', JSON's
        raise UserError(f"{path.parent} holds no {kind} that can be read: {first_line(error)}") from None
    if wrong := [*report["missing_keys"], *(report["mismatched_keys"] or ())]:
        raise UserError(f"{path} does not fit {spec}: it leaves {sorted(map(str, wrong))[0]} random")
    return network.eval().requires_grad_(False)


def _streams(sound: np.ndarray, channels: int) -> list[np.ndarray]:
    """What a network of so many channels is given, one after the other."""
    if channels == len(sound):
        return [sound]
    return [sound[[i] * channels] for i in range(len(sound))]


def _ranges(layers: tuple[int, ...]) -> str:
    return f"{layers[0]} to {layers[-1]}" if len(layers) > 8 else ", ".join(map(str, layers))


def _probe() -> AudioSample:
    """A tenth of a second of noise in two channels, always the same."""
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 1600))
    return AudioSample(noise.astype(np.float32), 16_000)


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _cached(repository: str) -> Path | None:
    """The weights in Hugging Face's cache, where their configuration lies beside them."""
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(repository, file, cache_dir=_cache()) for file in FILES]
    paths = [Path(file) for file in found if isinstance(file, str)]
    return paths[-1] if len(paths) == len(FILES) else None


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"the weights '{path}' cannot be read: {error.strerror}") from None


@lru_cache(maxsize=6)
def _coder(codec: type[NeuralAudioCodec], model: str, path: Path, stamp: int) -> AudioCoder:
    return codec(model=model).load(path)


@cache
def _sha256(path: Path, stamp: int) -> str:
    return sha256_of(path)
