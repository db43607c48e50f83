"""Autoregressive coding (mbt2018, cheng2020) of many pictures in one walk, with CompressAI's bitstreams.

A latent's entropy parameters depend on its twelve decoded neighbours above and to the left, in a 5×5 window.
CompressAI goes position by position in raster order. But positions with equal w + 3h need nothing from each
other, so a picture of 16×16 latents takes 61 steps instead of 256, and all pictures of a block, of whatever
sizes, share each step's matrix products. Only then are the symbols put into raster order and range-coded.
A decoder must follow the stream and cannot jump ahead; it gains from small products and small tables.

Two arithmetics. Ours takes matrix products over the twelve taps, always of at least ``ROWS`` rows, because
the last bit of a product depends on how many there are up to about that many. CompressAI's convolves one
window at a time; its last bits differ. That matters only where a scale lies so near to the border of two
table rows, or a latent so near to the middle between two integers, that the last bits decide: a picture with
such a place is walked again with CompressAI's arithmetic, and its stream says so. Hence what is encoded here
is what CompressAI encodes, and what CompressAI encoded is decoded with its own arithmetic (``exact=True``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mpq.networks.coders import Coded, Coder, Scales, _Bottleneck, one_thread
from mpq.networks.entropy import Decoder

ROWS = 16
MARGIN = 2.0**-21
"""How far two arithmetics may be apart, relative to the largest latent (at least 2): twice what was seen."""
TAPS = [
    (-2, -2),
    (-2, -1),
    (-2, 0),
    (-2, 1),
    (-2, 2),
    (-1, -2),
    (-1, -1),
    (-1, 0),
    (-1, 1),
    (-1, 2),
    (0, -2),
    (0, -1),
]
"""(rows, columns) from a position to the neighbours that a 5×5 mask of type A lets through."""


class _Products:
    """Entropy parameters of many positions at once, from products of at least ``ROWS`` rows."""

    def __init__(self, network: Any) -> None:
        context = network.context_prediction
        weight = (context.weight * context.mask).detach()
        taps = [weight[:, :, 2 + dy, 2 + dx] for dy, dx in TAPS]
        self.context_weight = torch.cat(taps, dim=1).t().contiguous()
        self.context_bias = context.bias.detach()
        self.layers = [
            (layer.weight.detach().flatten(1).t().contiguous(), layer.bias.detach())
            if hasattr(layer, "weight")
            else layer
            for layer in network.entropy_parameters
        ]

    def __call__(self, neighbours: Tensor, hyper: Tensor) -> Tensor:
        """neighbours: (n, 12, M); hyper: (n, 2M) -> (n, 2M): scales, then means."""
        n = len(neighbours)
        if n < ROWS:
            neighbours = functional.pad(neighbours, (0, 0, 0, 0, 0, ROWS - n))
            hyper = functional.pad(hyper, (0, 0, 0, ROWS - n))
        context = torch.addmm(self.context_bias, neighbours.flatten(1), self.context_weight)
        x = torch.cat([hyper, context], dim=1)
        for layer in self.layers:
            x = torch.addmm(layer[1], x, layer[0]) if isinstance(layer, tuple) else layer(x)
        return x[:n]


class _Windows:
    """CompressAI's own numbers: what its convolutions give for one 5×5 window at a time.

    Many windows may share a call as long as no bit changes. How many depends on the machine's kernels, so it
    is tried out once.
    """

    TRIALS = 70

    def __init__(self, network: Any) -> None:
        context = network.context_prediction
        self.weight = (context.weight * context.mask).detach()
        self.bias = context.bias.detach()
        self.entropy_parameters = network.entropy_parameters
        self.windows_a_call = self.parameters_a_call = 1
        channels = self.weight.shape[1]
        random = torch.Generator().manual_seed(0)
        neighbours = torch.randn(self.TRIALS, len(TAPS), channels, generator=random)
        hyper = torch.randn(self.TRIALS, 2 * channels, generator=random)
        with torch.no_grad(), one_thread():
            published = self(neighbours, hyper)
            self._try(neighbours, hyper, published, windows_a_call=64)
            for many in (8, 4, 2):
                self._try(neighbours, hyper, published, parameters_a_call=max(many, self.parameters_a_call))

    def _try(self, neighbours: Tensor, hyper: Tensor, published: Tensor, **change: Any) -> None:
        kept = {name: getattr(self, name) for name in change}
        self.__dict__.update(change)
        if not torch.equal(self(neighbours, hyper), published):
            self.__dict__.update(kept)

    def __call__(self, neighbours: Tensor, hyper: Tensor) -> Tensor:
        windows = neighbours.new_zeros(len(neighbours), neighbours.shape[2], 5, 5)
        for tap, (dy, dx) in enumerate(TAPS):
            windows[:, :, 2 + dy, 2 + dx] = neighbours[:, tap]
        parts = windows.split(self.windows_a_call)
        contexts = torch.cat([functional.conv2d(part, self.weight, self.bias) for part in parts])
        both = torch.cat((hyper[:, :, None, None], contexts), dim=1).split(self.parameters_a_call)
        return torch.cat([self.entropy_parameters(part) for part in both])[:, :, 0, 0]


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
    def taps(self) -> Tensor:
        return torch.tensor([dy * self.stride + dx for dy, dx in TAPS])


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
        self.bottleneck = _Bottleneck(network.entropy_bottleneck)
        self.scales = Scales(network.gaussian_conditional)
        self._products, self._windows = _Products(network), _Windows(network)

    def analyse(self, picture: Tensor) -> Tensor:
        return self.network.g_a(self.padded(picture))

    def compress(self, latents: Sequence[Tensor], *, exact: bool = False) -> list[Coded]:
        with one_thread():
            sides = [self.bottleneck.compress(self.network.h_a(y)) for y in latents]
            hyper = [self.network.h_s(z_hat) for _, _, z_hat in sides]
            walked = dict(enumerate(self._walk(latents, hyper, exact)))
            again = [i for i, y in enumerate(latents) if not exact and self._ambiguous(_rows(y), *walked[i])]
            if again:
                anew = self._walk([latents[i] for i in again], [hyper[i] for i in again], True)
                walked |= dict(zip(again, anew, strict=True))
            coded = []
            for i, (y, (z_stream, z_symbols, _)) in enumerate(zip(latents, sides, strict=True)):
                symbols, y_hat, scales = walked[i]
                stream = self.scales.tables.encode(symbols.numpy(), self.scales.indexes(scales).numpy())
                height, width = y.shape[2:]
                coded.append(
                    Coded(
                        [stream, z_stream],
                        [symbols.t().reshape(-1, height, width).numpy(), z_symbols],
                        _picture(y_hat, height, width),
                        exact or i in again,
                    )
                )
        return coded

    def _walk(
        self, latents: Sequence[Tensor], hyper: Sequence[Tensor], exact: bool
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each picture: symbols, y_hat and scales, (h·w, M) in raster order."""
        fields = _fields([(y.shape[2], y.shape[3]) for y in latents])
        parameters = self._windows if exact else self._products
        y = torch.cat([_rows(value) for value in latents])
        p = torch.cat([_rows(value) for value in hyper])
        channels = y.shape[1]
        buffer = y.new_zeros(fields[-1].start + fields[-1].padded, channels)
        scales, symbols = torch.empty_like(y), torch.empty(y.shape, dtype=torch.int32)
        for positions, places, neighbours in _waves(fields):
            gaussian = parameters(buffer[neighbours], p[positions])
            means = gaussian[:, channels:]
            rounded = torch.round(y[positions] - means)
            buffer[places] = rounded + means
            symbols[positions] = rounded.int()
            scales[positions] = gaussian[:, :channels]
        ends = [slice(f.first, f.first + f.height * f.width) for f in fields]
        return [(symbols[s], buffer[f.positions], scales[s]) for f, s in zip(fields, ends, strict=True)]

    def _ambiguous(self, y: Tensor, symbols: Tensor, y_hat: Tensor, scales: Tensor) -> bool:
        """Could another arithmetic's last bits choose another row, or round to another integer?"""
        margin = MARGIN * max(2.0, float(y_hat.abs().max()))
        rows = [self.scales.indexes(scales + d) for d in (-margin, margin)]
        fractions = y - (y_hat - symbols)
        return not torch.equal(*rows) or bool(((fractions - symbols).abs() > 0.5 - margin).any())

    def decompress(self, strings: list[bytes], height: int, width: int, *, exact: bool = False) -> Coded:
        with one_thread():
            rows, columns = self.latent_size(height, width)
            z_symbols, z_hat = self.bottleneck.decompress(strings[1], rows // 4, columns // 4)
            hyper = _rows(self.network.h_s(z_hat))
            (field,) = _fields([(rows, columns)])
            parameters = self._windows if exact else self._products
            channels = hyper.shape[1] // 2
            buffer = hyper.new_zeros(field.padded, channels)
            symbols = np.empty((len(hyper), channels), dtype=np.int32)
            decoder = Decoder(self.scales.tables, strings[0], symbols.size)
            neighbours = field.positions[:, None] + field.taps
            for i, place in enumerate(field.positions.tolist()):
                gaussian = parameters(buffer[neighbours[i]][None], hyper[i : i + 1])
                symbols[i] = decoder.take(self.scales.indexes(gaussian[0, :channels]).numpy())
                buffer[place] = torch.from_numpy(symbols[i]).float() + gaussian[0, channels:]
            return Coded(
                strings,
                [symbols.T.reshape(-1, field.height, field.width), z_symbols],
                _picture(buffer[field.positions], field.height, field.width),
                exact,
            )


def _waves(fields: Sequence[_Field]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Steps in order: positions among all pictures', their rows in the buffer, and their neighbours' rows."""
    when = torch.cat(
        [(torch.arange(f.height)[:, None] * 3 + torch.arange(f.width)).flatten() for f in fields]
    )
    places = torch.cat([f.positions for f in fields])
    neighbours = torch.cat([f.positions[:, None] + f.taps for f in fields])
    order = torch.argsort(when, stable=True)
    steps = order.split(torch.bincount(when).tolist())
    return [(positions, places[positions], neighbours[positions]) for positions in steps]


def _rows(value: Tensor) -> Tensor:
    """(1, c, h, w) -> (h·w, c)."""
    return value[0].flatten(1).t().contiguous()


def _picture(rows: Tensor, height: int, width: int) -> Tensor:
    """(h·w, c) -> (1, c, h, w)."""
    return rows.t().reshape(1, -1, height, width).contiguous()
