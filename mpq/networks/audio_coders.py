"""From sound to codes and back through neural audio codecs, in pieces, so that a long sound fits in memory.

Either the network is one filter over the whole sound. Then a piece is analysed, and synthesised, with its
neighbours for context, what belongs to them is thrown away, and the codes are those of the whole sound: pieces
cost time, but no bits. Or it is made for chunks that it normalises each for itself (EnCodec at 48 kHz). Then chunks
are coded one by one and faded into each other where they overlap, as the network's authors do it, and what they
overlap is coded twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Coded:
    """codes: (frames, codebooks) int64. scales: (chunks,) float32, what each chunk was divided by; may be none."""

    codes: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True, kw_only=True)
class AudioCoder(ABC):
    """A network at its own rate and number of channels.

    analyse: (channels, n) float32 and a number of codebooks -> (codebooks, ⌈n / hop⌉) and the scale, if it has one.
    synthesise: the way back, to about frames · hop samples. rate: in Hz. hop: samples a frame. bits: of a code.
    layers: the numbers of codebooks that it can use.
    """

    analyse: Callable[[Tensor, int], tuple[Tensor, float | None]]
    synthesise: Callable[[Tensor, float | None], Tensor]
    rate: int
    channels: int
    hop: int
    bits: int
    layers: tuple[int, ...]

    @abstractmethod
    def frames(self, length: int) -> int:
        """Of a sound of so many samples."""

    @abstractmethod
    def chunks(self, length: int) -> int:
        """Of a sound of so many samples: how many scales go with it."""

    @abstractmethod
    def encode(self, sound: np.ndarray, layers: int) -> Coded:
        """sound: (channels, n) float32."""

    @abstractmethod
    def decode(self, coded: Coded, length: int) -> np.ndarray:
        """(channels, length) float32."""


@dataclass(frozen=True, kw_only=True)
class WholeCoder(AudioCoder):
    """One filter over the whole sound.

    piece: frames that are coded at once. before, after: frames of context on either side, beyond which nothing
    (or, of an LSTM, hardly anything) changes a piece. short: samples that the synthesis lacks at the end.
    """

    piece: int
    before: int
    after: int
    short: int = 0

    def frames(self, length: int) -> int:
        return -(-(length + self.short) // self.hop)

    def chunks(self, length: int) -> int:
        return 0

    def encode(self, sound: np.ndarray, layers: int) -> Coded:
        count = self.frames(sound.shape[1])
        least = (count - 1) * self.hop + 1  # fewer samples would be a frame less
        whole = functional.pad(torch.tensor(sound), (0, max(0, least - sound.shape[1])))
        parts = []
        for piece, context in self._pieces(count):
            codes, _ = self.analyse(whole[:, context.start * self.hop : context.stop * self.hop], layers)
            parts.append(codes[:, piece.start - context.start : piece.stop - context.start])
        return Coded(torch.cat(parts, dim=1).T.numpy(), np.zeros(0, np.float32))

    def decode(self, coded: Coded, length: int) -> np.ndarray:
        codes = torch.from_numpy(coded.codes).T
        parts = []
        for piece, context in self._pieces(len(coded.codes)):
            sound = self.synthesise(codes[:, context], None)
            start = (piece.start - context.start) * self.hop
            parts.append(sound[:, start : start + (piece.stop - piece.start) * self.hop])
        return torch.cat(parts, dim=1)[:, :length].numpy()

    def _pieces(self, frames: int) -> Iterator[tuple[slice, slice]]:
        """Frames of each piece, and those with its context."""
        for start in range(0, frames, self.piece):
            stop = min(start + self.piece, frames)
            yield slice(start, stop), slice(max(0, start - self.before), min(frames, stop + self.after))


@dataclass(frozen=True, kw_only=True)
class ChunkedCoder(AudioCoder):
    """Chunk by chunk. chunk, stride: samples of one, and from one's start to the next one's. scaled: has scales."""

    chunk: int
    stride: int
    scaled: bool

    def frames(self, length: int) -> int:
        chunks = self._count(length)
        last = length - (chunks - 1) * self.stride
        return (chunks - 1) * -(-self.chunk // self.hop) + -(-last // self.hop)

    def chunks(self, length: int) -> int:
        return self._count(length) if self.scaled else 0

    def _count(self, length: int) -> int:
        """The last chunk has something that the one before it has not."""
        overlap = self.chunk - self.stride
        return max(1, -(-(length - overlap) // self.stride))

    def encode(self, sound: np.ndarray, layers: int) -> Coded:
        parts, scales = [], []
        for start in range(0, self._count(sound.shape[1]) * self.stride, self.stride):
            codes, scale = self.analyse(torch.tensor(sound[:, start : start + self.chunk]), layers)
            parts.append(codes)
            scales += [scale] if scale is not None else []
        return Coded(torch.cat(parts, dim=1).T.numpy(), np.array(scales, np.float32))

    def decode(self, coded: Coded, length: int) -> np.ndarray:
        codes, each = torch.from_numpy(coded.codes).T, -(-self.chunk // self.hop)
        # A triangle, which makes the fade from one chunk to the next linear once it is divided by the sum.
        ramp = torch.linspace(0, 1, self.chunk + 2)[1:-1]
        fade = 0.5 - (ramp - 0.5).abs()
        sound, weight = torch.zeros(self.channels, length), torch.zeros(length)
        for i in range(self._count(length)):
            at = slice(i * self.stride, min(i * self.stride + self.chunk, length))
            scale = float(coded.scales[i]) if self.scaled else None
            chunk = self.synthesise(codes[:, i * each : (i + 1) * each], scale)
            faded = fade[: at.stop - at.start]
            sound[:, at] += faded * chunk[:, : at.stop - at.start]
            weight[at] += faded
        return (sound / weight).numpy()
