"""Autoregressive coding (mbt2018, cheng2020) of many pictures in one walk, with CompressAI's bitstreams.

A latent's entropy parameters depend on its twelve decoded neighbours above and to the left, in a 5×5 window.
CompressAI goes position by position in raster order. But positions with equal w + 3h need nothing from each
other, so a picture of 16×16 latents takes 61 steps instead of 256, and all pictures of a block, of whatever
sizes, share each step's convolutions. Only then are the symbols put into raster order and range-coded.
A decoder must follow the stream and cannot jump ahead; it gains from smaller windows and tables.

Encoder and decoder must agree on entropy parameters to the last bit, and with CompressAI's too, which
convolves one window at a time. A sum of many products depends on their order, which libraries choose by the
shapes they are given. So the shapes used here are few, and each is tried when a network is loaded: it must
give what one window at a time gives, bit for bit, or it is not used (see ``Parameters``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mpq.networks.coders import Bottleneck, Coded, Coder, Scales, one_thread
from mpq.networks.entropy import Decoder

WINDOW = [(dy, dx) for dy in (-2, -1, 0) for dx in (-2, -1, 0, 1, 2)]
"""(rows, columns) from a position to the upper part of its 5×5 window: the mask hides all that lies below."""

WIDE = (2, 4, 8, 12, 16, 32, 64)
"""How many windows may lie side by side in one convolution."""

TOGETHER = (1, 2, 4, 8, 12, 15)
"""How many positions may share the 1×1 convolutions that follow: beyond about 15, other kernels take over."""


class Parameters:
    """Entropy parameters of many positions at once: CompressAI's numbers, to the last bit.

    Windows lie side by side in one wide picture that is convolved with a stride of five: kernels add up each
    output in the same order whether there is one or are many, mostly. What "mostly" means on this machine is
    tried out here; where nothing faster agrees, it is one window at a time.
    """

    def __init__(self, network: Any) -> None:
        context = network.context_prediction
        self.weight = (context.weight * context.mask).detach()
        self.upper = self.weight[:, :, :3].contiguous()
        self.bias = context.bias.detach()
        self.entropy_parameters = network.entropy_parameters
        channels = self.weight.shape[1]
        random = torch.Generator().manual_seed(0)
        windows = torch.randn(max(WIDE), len(WINDOW), channels, generator=random)
        hyper = torch.randn(max(WIDE), 2 * channels, 1, 1, generator=random)
        with torch.no_grad(), one_thread():
            contexts = torch.cat([self._published(window) for window in windows.split(1)])
            both = torch.cat((hyper, contexts), dim=1)
            gaussian = torch.cat([self.entropy_parameters(one) for one in both.split(1)])
            self.wide = [n for n in WIDE if torch.equal(self._wide(windows[:n]), contexts[:n])]
            self.together = [
                n for n in TOGETHER if torch.equal(self.entropy_parameters(both[:n]), gaussian[:n])
            ]

    def __call__(self, windows: Tensor, hyper: Tensor) -> Tensor:
        """windows: (n, 15, M), as WINDOW orders them; hyper: (n, 2M) -> (n, 2M): scales, then means."""
        if self.wide:
            contexts = torch.cat([self._wide(part)[:kept] for part, kept in _calls(windows, self.wide)])
        else:
            contexts = torch.cat([self._published(window) for window in windows.split(1)])
        both = torch.cat((hyper[:, :, None, None], contexts), dim=1)
        parts = [self.entropy_parameters(part)[:kept] for part, kept in _calls(both, self.together)]
        return torch.cat(parts)[:, :, 0, 0]

    def _wide(self, windows: Tensor) -> Tensor:
        """(n, 15, M) -> (n, 2M, 1, 1)."""
        n, _, channels = windows.shape
        side_by_side = windows.view(n, 3, 5, channels).permute(3, 1, 0, 2).reshape(1, channels, 3, 5 * n)
        contexts = functional.conv2d(side_by_side, self.upper, self.bias, stride=(1, 5))
        return contexts[0, :, 0].t()[:, :, None, None]

    def _published(self, window: Tensor) -> Tensor:
        """One window as CompressAI convolves it: (1, 15, M) -> (1, 2M, 1, 1)."""
        whole = functional.pad(window.view(1, 3, 5, -1).permute(0, 3, 1, 2), (0, 0, 0, 2)).contiguous()
        return functional.conv2d(whole, self.weight, self.bias)


def _calls(rows: Tensor, sizes: Sequence[int]) -> Iterator[tuple[Tensor, int]]:
    """``rows`` in parts of the ``sizes`` (ascending), the last filled up with zeros; and how many rows are real."""
    start, largest = 0, sizes[-1]
    while start < len(rows):
        part = rows[start : start + largest]
        size = next(n for n in sizes if n >= len(part))
        missing = size - len(part)
        yield (functional.pad(part, [0, 0] * (part.ndim - 1) + [0, missing]) if missing else part), len(part)
        start += largest


@dataclass
class _Field:
    """One picture's place in the walk's common buffer, in which each picture has a border of zeros.

    start: its first padded position's row in the buffer. first: its first position among all pictures'.
    """

    height: int
    width: int
    start: int
    first: int

    @property
    def stride(self) -> int:
        return self.width + 4

    @property
    def padded(self) -> int:
        return (self.height + 2) * self.stride

    @cached_property
    def positions(self) -> Tensor:
        """(h·w,) rows in the buffer, in raster order."""
        rows, columns = torch.arange(self.height)[:, None] + 2, torch.arange(self.width) + 2
        return (self.start + rows * self.stride + columns).flatten()

    @cached_property
    def window(self) -> Tensor:
        """From a position's row in the buffer to those of its window."""
        return torch.tensor([dy * self.stride + dx for dy, dx in WINDOW])


def _fields(sizes: Sequence[tuple[int, int]]) -> list[_Field]:
    fields: list[_Field] = []
    start = first = 0
    for height, width in sizes:
        fields.append(_Field(height, width, start, first))
        start += fields[-1].padded
        first += height * width
    return fields


class AutoregressiveCoder(Coder):
    """mbt2018, cheng2020-anchor, cheng2020-attn."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.bottleneck = Bottleneck(network.entropy_bottleneck)
        self.scales = Scales(network.gaussian_conditional)
        self.entropy = Parameters(network)

    def compress(self, latents: Sequence[Tensor]) -> list[Coded]:
        with one_thread():
            sides = [self.bottleneck.compress(self.network.h_a(y)) for y in latents]
            walked = self._walk(latents, [self.network.h_s(z_hat) for _, _, z_hat in sides])
            coded = []
            for y, side, (symbols, y_hat, scales) in zip(latents, sides, walked, strict=True):
                stream = self.scales.tables.encode(symbols.numpy(), self.scales.indexes(scales).numpy())
                height, width = y.shape[2:]
                coded.append(
                    Coded(
                        [stream, side[0]],
                        [symbols.t().reshape(-1, height, width).numpy(), side[1]],
                        _picture(y_hat, height, width),
                    )
                )
        return coded

    def _walk(
        self, latents: Sequence[Tensor], hyper: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each picture: symbols, y_hat and scales, (h·w, M) in raster order."""
        fields = _fields([(y.shape[2], y.shape[3]) for y in latents])
        y = torch.cat([_rows(value) for value in latents])
        p = torch.cat([_rows(value) for value in hyper])
        channels = y.shape[1]
        buffer = y.new_zeros(fields[-1].start + fields[-1].padded, channels)
        scales, symbols = torch.empty_like(y), torch.empty(y.shape, dtype=torch.int32)
        for positions, places, windows in _waves(fields):
            gaussian = self.entropy(buffer[windows], p[positions])
            means = gaussian[:, channels:]
            rounded = torch.round(y[positions] - means)
            buffer[places] = rounded + means
            symbols[positions] = rounded.int()
            scales[positions] = gaussian[:, :channels]
        ends = [slice(f.first, f.first + f.height * f.width) for f in fields]
        return [(symbols[s], buffer[f.positions], scales[s]) for f, s in zip(fields, ends, strict=True)]

    def decompress(self, strings: list[bytes], height: int, width: int) -> Coded:
        with one_thread():
            rows, columns = self.latent_size(height, width)
            z_symbols, z_hat = self.bottleneck.decompress(strings[1], rows // 4, columns // 4)
            hyper = _rows(self.network.h_s(z_hat))
            (field,) = _fields([(rows, columns)])
            channels = hyper.shape[1] // 2
            buffer = hyper.new_zeros(field.padded, channels)
            symbols = np.empty((len(hyper), channels), dtype=np.int32)
            decoder = Decoder(self.scales.tables, strings[0], symbols.size)
            windows = field.positions[:, None] + field.window
            for i, place in enumerate(field.positions.tolist()):
                gaussian = self.entropy(buffer[windows[i]][None], hyper[i : i + 1])
                symbols[i] = decoder.take(self.scales.indexes(gaussian[0, :channels]).numpy())
                buffer[place] = torch.from_numpy(symbols[i]).float() + gaussian[0, channels:]
            return Coded(
                strings,
                [symbols.T.reshape(-1, field.height, field.width), z_symbols],
                _picture(buffer[field.positions], field.height, field.width),
            )


def _waves(fields: Sequence[_Field]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Steps in order: positions among all pictures', their rows in the buffer, and their windows' rows."""
    when = torch.cat(
        [(torch.arange(f.height)[:, None] * 3 + torch.arange(f.width)).flatten() for f in fields]
    )
    places = torch.cat([f.positions for f in fields])
    windows = torch.cat([f.positions[:, None] + f.window for f in fields])
    order = torch.argsort(when, stable=True)
    steps = order.split(torch.bincount(when).tolist())
    return [(positions, places[positions], windows[positions]) for positions in steps]


def _rows(value: Tensor) -> Tensor:
    """(1, c, h, w) -> (h·w, c)."""
    return value[0].flatten(1).t().contiguous()


def _picture(rows: Tensor, height: int, width: int) -> Tensor:
    """(h·w, c) -> (1, c, h, w)."""
    return rows.t().reshape(1, -1, height, width).contiguous()
