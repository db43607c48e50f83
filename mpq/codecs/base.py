"""What a codec is: ``encode`` to bytes, ``decode`` from nothing but those bytes, and parameters with ranges."""

from __future__ import annotations

import itertools
import math
import re
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from mpq.errors import UserError
from mpq.registry import codecs as registry
from mpq.registry import suggestion
from mpq.samples import ImageSample

Value = int | float | str


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
class Transmission:
    """A sample's way through a codec: what was sent, what came out, and how long it took.

    decoded_from: "bitstream" where the decoder really ran; "encoder" where the encoder handed over the
    decoder's output, which it can prove to hold.
    """

    bitstream: Bitstream
    decoded: ImageSample
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


class Codec(ABC):
    """A lossy coder at one setting. Subclasses are pure: no state changes between calls.

    name: as spelled in specs. extension: of a bitstream's file. ladder: the settings that the bare name
    stands for, cheapest first.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
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
    def encode(self, sample: ImageSample) -> Bitstream:
        """Raises CodecError for a sample that the format cannot hold."""

    @abstractmethod
    def decode(self, data: bytes) -> ImageSample:
        """Raises CodecError for bytes that are not a whole bitstream of this codec."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Of whatever shapes the bytes: results made with another version are not reused."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Why the codec cannot run here and now, in a sentence; None where it can."""
        return None

    def transmit(self, sample: ImageSample) -> Transmission:
        """Encodes and decodes, on the clock. Raises CodecError."""
        start = time.perf_counter()
        bitstream = self.encode(sample)
        encoded = time.perf_counter()
        decoded = self.decode(bitstream.data)
        done = time.perf_counter()
        if decoded.pixels.shape != sample.pixels.shape:
            raise CodecError(
                f"{self.spec} decoded {sample.width} × {sample.height} pixels "
                f"to {decoded.width} × {decoded.height}"
            )
        return Transmission(bitstream, decoded, 1e3 * (encoded - start), 1e3 * (done - encoded))

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


def parse_codec(spec: str) -> list[Codec]:
    """``name`` (its ladder), or ``name:key=a,b,c[,key=…]`` (every combination), as codecs at one setting each.

    Raises UserError that names the wrong codec, key or value.
    """
    name, colon, options = spec.strip().partition(":")
    cls = registry.get(name)
    if why := cls.unavailable():
        raise UserError(f"{name} cannot run here: {why}")
    texts = _split_options(options if colon else cls.ladder, spec)
    if colon and not texts:
        raise UserError(f"'{spec}' is not a codec setting; write name:key=value,value, or the name alone")
    known = {p.name: p for p in cls.parameters}
    parsed: dict[str, list[Value]] = {}
    for key, values in texts.items():
        if key not in known:
            raise UserError(f"{name} has no parameter '{key}'{suggestion(key, list(known))}")
        parsed[key] = list(dict.fromkeys(known[key].parse(value, name) for value in values))
    return [
        cls(**dict(zip(parsed, combination, strict=True)))
        for combination in itertools.product(*parsed.values())
    ]


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
