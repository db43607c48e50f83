"""What a codec is: ``encode`` to bytes, ``decode`` from nothing but those bytes, and parameters with ranges."""

from __future__ import annotations

import itertools
import math
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, TypeVar

from mpq.audio import AudioSample
from mpq.errors import UserError
from mpq.registry import codecs as registry
from mpq.registry import suggestion
from mpq.samples import ImageSample

Value = int | float | str

Kind = Literal["image", "audio"]
"""Of samples."""

KINDS: dict[Kind, str] = {"image": "pictures", "audio": "sound"}
"""What kinds of samples are called."""

Sample = TypeVar("Sample", bound=ImageSample | AudioSample)


class CodecError(Exception):
    """A sample that cannot be coded, or a bitstream that cannot be decoded. It becomes a row's error."""


@dataclass(frozen=True)
class Bitstream:
    """All bytes that a decoder needs, and how many of their bits are the coded signal itself.

    data: payload, side information and container.
    payload_bits: bits of the entropy-coded signal, without headers, tables and container.
    """

    data: bytes
    payload_bits: int

    @property
    def bits(self) -> int:
        return 8 * len(self.data)


@dataclass(frozen=True)
class Transmission(Generic[Sample]):
    """A sample's way through a codec: what was sent, what came out, and how long it took.

    decoded_from: "bitstream" where the decoder really ran; "encoder" where the encoder handed over the
    decoder's output, which it can prove to hold.
    """

    bitstream: Bitstream
    decoded: Sample
    encode_ms: float
    decode_ms: float
    decoded_from: str = "bitstream"


@dataclass(frozen=True)
class Parameter:
    """A setting's key: its default (whose type is the key's type), its range or its choices."""

    name: str
    default: Value
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] = ()

    def parse(self, text: str, codec: str) -> Value:
        kind = type(self.default)
        value: Value = math.nan
        if kind is str or re.fullmatch(r"[+-]?\d+" if kind is int else r"[+-]?\d+(\.\d+)?", text, re.ASCII):
            value = kind(text)
        allowed = (
            value in self.choices
            if self.choices
            else isinstance(value, str)
            or (
                (self.low is None or value >= self.low)
                and (self.high is None or value <= self.high)
                and math.isfinite(value)
            )
        )
        if not allowed:
            raise UserError(f"{codec}: {self.name} is {self.domain}, not '{text}'")
        return value

    @property
    def domain(self) -> str:
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        kind = {int: "a whole number", float: "a number", str: "a word"}[type(self.default)]
        if self.low is not None and self.high is not None:
            return f"{kind} from {self.low:g} to {self.high:g}"
        return kind


class Codec(ABC, Generic[Sample]):
    """A lossy coder at one setting. Subclasses are pure: no state changes between calls.

    name: as spelled in specs. takes: the kinds of samples that it codes. extension: of a bitstream's file.
    ladder: the settings that the bare name stands for, cheapest first.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    takes: ClassVar[tuple[Kind, ...]] = ("image",)
    extension: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    ladder: ClassVar[str] = ""

    def __init__(self, **values: Value) -> None:
        known = {p.name: p for p in self.parameters}
        for key in values:
            if key not in known:
                raise UserError(f"{self.name} has no parameter '{key}'{suggestion(key, list(known))}")
        self.values: dict[str, Value] = {p.name: values.get(p.name, p.default) for p in self.parameters}
        self._given = [p.name for p in self.parameters if p.name in values]

    @abstractmethod
    def encode(self, sample: Sample) -> Bitstream:
        """Raises CodecError for a sample that the format cannot hold."""

    @abstractmethod
    def decode(self, data: bytes) -> Sample:
        """Raises CodecError for bytes that are not a whole bitstream of this codec."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Of whatever shapes the bytes: results made with another version are not reused."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Why the codec cannot run here and now, in a sentence; None where it can."""
        return None

    @classmethod
    def lacking(cls) -> str | None:
        """What keeps some of the bare name's settings from running here and now; None where all can."""
        return cls.unavailable()

    def transmit(self, sample: Sample) -> Transmission[Sample]:
        """Encodes and decodes, on the clock. Raises CodecError."""
        start = time.perf_counter()
        bitstream = self.encode(sample)
        encoded = time.perf_counter()
        decoded = self.decode(bitstream.data)
        done = time.perf_counter()
        if decoded.extent != sample.extent:
            raise CodecError(f"{self.spec} decoded {sample.extent} to {decoded.extent}")
        return Transmission(bitstream, decoded, 1e3 * (encoded - start), 1e3 * (done - encoded))

    def transmit_all(self, samples: list[Sample]) -> list[Transmission[Sample] | CodecError]:
        """Many samples at once, for codecs that can share work between them. A failure is that sample's alone."""
        results: list[Transmission[Sample] | CodecError] = []
        for sample in samples:
            try:
                results.append(self.transmit(sample))
            except CodecError as error:
                results.append(error)
            except Exception as error:  # somebody's codec: its bug costs this sample, not the sweep
                results.append(CodecError(f"{type(error).__name__}: {error}"))
        return results

    def prepare(self) -> list[str]:
        """Makes sure that all it needs is at hand. Notes for the user. Raises UserError with what is lacking."""
        return []

    @classmethod
    def instead(cls) -> tuple[str, str] | None:
        """What the bare name stands for where its own weights are not at hand: another spec, and a note."""
        return None

    @property
    def setting(self) -> str:
        """``key=value,…``: the keys that were given or that differ from their defaults."""
        shown = [
            f"{p.name}={self.values[p.name]}"
            for p in self.parameters
            if p.name in self._given or self.values[p.name] != p.default
        ]
        return ",".join(shown)

    @property
    def spec(self) -> str:
        return f"{self.name}:{self.setting}" if self.setting else self.name

    @property
    def identity(self) -> dict[str, Any]:
        """All that shapes its output, for a cell's hash: spelling and defaults left unsaid change nothing."""
        return {"name": self.name, "values": self.values, "version": self.version}


def parse_codec(spec: str, weights: Path | None = None) -> list[Codec]:
    """``name`` (its ladder), or ``name:key=a,b,c[,key=…]`` (every combination), as codecs at one setting each.

    weights: a file for the one setting. Raises UserError that names the wrong codec, key or value.
    """
    name, colon, options = spec.strip().partition(":")
    cls = registry.get(name)
    if why := cls.unavailable():
        raise UserError(f"{name} cannot run here: {why}")
    # One file is one setting, so a bare name with a file of its own does not mean the ladder.
    texts = _split_options(options if colon else "" if weights else cls.ladder, spec)
    if colon and not texts:
        raise UserError(f"'{spec}' is not a codec setting; write name:key=value,value, or the name alone")
    known = {p.name: p for p in cls.parameters}
    parsed: dict[str, list[Value]] = {}
    for key, values in texts.items():
        if key not in known:
            raise UserError(f"{name} has no parameter '{key}'{suggestion(key, list(known))}")
        parsed[key] = list(dict.fromkeys(known[key].parse(value, name) for value in values))
    if weights is not None:
        if "weights" not in known:
            raise UserError(f"{name} has no weights, so '{weights}' cannot be its")
        parsed["weights"] = [str(weights)]
    settings = [dict(zip(parsed, values, strict=True)) for values in itertools.product(*parsed.values())]
    if weights is not None and len(settings) != 1:
        raise UserError(f"'{spec}' is {len(settings)} settings, but '{weights}' is the weights of one")
    return [cls(**values) for values in settings]


@dataclass(frozen=True)
class Asked:
    """What specs come to here: settings that run, notes, and a sentence for each name of which some cannot."""

    codecs: list[Codec]
    notes: list[str]
    lacking: list[str]


def ready_codecs(
    specs: Sequence[str], weights: Mapping[str, Path] = MappingProxyType({}), kind: Kind | None = None
) -> Asked:
    """Parses specs and makes sure that what they need is at hand.

    weights: spec -> file. kind: of the samples to be coded, where it is known. Raises UserError for a wrong spec,
    for a codec of other samples, and where nothing at all can run.
    """
    asked = Asked([], [], [])
    lacking: dict[str, list[str]] = {}
    for spec in map(str.strip, specs):
        other = registry.get(spec).instead() if ":" not in spec and spec not in weights else None
        if other is not None:
            asked.notes.append(other[1])
        settings = parse_codec(other[0] if other else spec, weights.get(spec))
        takes = settings[0].takes
        if kind is not None and kind not in takes:
            raise UserError(f"{settings[0].name} codes {KINDS[takes[0]]}; these samples are {KINDS[kind]}")
        for codec in settings:
            try:
                asked.notes.extend(codec.prepare())
                asked.codecs.append(codec)
            except UserError as error:
                if codec.values.get("weights"):
                    raise  # not lacking but wrong: the user named this file
                lacking.setdefault(codec.name, []).append(str(error))
    for name, sentences in lacking.items():
        more = f" ({name}: the same goes for {len(sentences) - 1} more settings)" if sentences[1:] else ""
        asked.lacking.append(sentences[0] + more)
    if specs and not asked.codecs:
        raise UserError(asked.lacking[0])
    return asked


def _split_options(text: str, spec: str) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    key = None
    for token in text.split(",") if text else ():
        head, equals, tail = token.partition("=")
        if equals:
            key = head.strip()
            if key in options:
                raise UserError(f"'{spec}' gives {key} twice; write {key}=a,b")
            options[key] = []
            token = tail
        if key is None or not token.strip():
            raise UserError(f"'{spec}' is not a codec setting; write name:key=value,value")
        options[key].append(token.strip())
    return options
