"""From pictures to streams and latents and back, for each family of learned codecs.

What decides how many bits a symbol takes must agree between encoder and decoder to the last bit, and neither
batches nor threads are promised to leave the last bit alone (CompressAI issues 279, 309, 320). So it runs on
one CPU thread, hyper-synthesis on one picture at a time, and what shares a call has been tried before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mpq.networks.entropy import Tables
from mpq.samples import ImageSample


@dataclass
class Coded:
    """One picture's streams and what they decode to.

    strings: y's stream, then z's where there is one, as CompressAI orders them. symbols: the integers that
    they hold, (channels, h, w) int32 each. y_hat: (1, M, h, w), what the synthesis takes.
    """

    strings: list[bytes]
    symbols: list[np.ndarray]
    y_hat: Tensor


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Coder(ABC):
    """A network and its tables. Pictures are (1, 3, h, w) in [0, 1], of any size: padding is the coder's business.

    multiple: what sides are padded to. streams: how many a picture has.
    """

    multiple = 64
    streams = 2

    def __init__(self, network: Any) -> None:
        self.network = network

    def analyse(self, picture: Tensor) -> Tensor:
        """(1, 3, h, w) -> y: (1, M, ⌈h⌉/16, ⌈w⌉/16), where ⌈·⌉ is up to the next multiple."""
        return self.network.g_a(self.padded(picture))

    @abstractmethod
    def compress(self, latents: Sequence[Tensor]) -> list[Coded]:
        """Codes many pictures' y."""

    @abstractmethod
    def decompress(self, strings: list[bytes], height: int, width: int) -> Coded:
        """height, width: of the picture before padding."""

    def padded(self, picture: Tensor) -> Tensor:
        """Right and below, the last pixels are repeated: they cost few bits, and any size has some."""
        height, width = picture.shape[2:]
        return functional.pad(
            picture, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate"
        )

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """y's height and width."""
        multiple = self.multiple
        return (height + -height % multiple) // 16, (width + -width % multiple) // 16

    def synthesise(self, y_hat: Tensor) -> Tensor:
        """y_hat -> (1, 3, h, w) in [0, 1]."""
        return self.network.g_s(y_hat).clamp(0, 1)


def picture_of(sample: ImageSample) -> Tensor:
    """(1, 3, h, w) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(sample.pixels)).permute(2, 0, 1)[None].float() / 255


def symbols_of(values: Tensor, means: Tensor | None) -> Tensor:
    """Integers as CompressAI rounds them: half to even, after taking the mean off."""
    return torch.round(values if means is None else values - means).int()


def latents_of(symbols: Tensor, means: Tensor | None) -> Tensor:
    """And back."""
    return symbols.float() if means is None else symbols.float() + means


class Bottleneck:
    """The factorised prior: each channel has its own distribution and median."""

    def __init__(self, model: Any) -> None:
        self.tables = Tables(model)
        self.medians = model._get_medians().detach().reshape(1, -1, 1, 1)

    def compress(self, z: Tensor) -> tuple[bytes, np.ndarray, Tensor]:
        symbols = symbols_of(z, self.medians)
        numbers = symbols[0].numpy()
        return (
            self.tables.encode(numbers, self._indexes(numbers.shape)),
            numbers,
            latents_of(symbols, self.medians),
        )

    def decompress(self, stream: bytes, height: int, width: int) -> tuple[np.ndarray, Tensor]:
        shape = (self.medians.shape[1], height, width)
        numbers = self.tables.decode(stream, self._indexes(shape))
        return numbers, latents_of(torch.from_numpy(numbers)[None], self.medians)

    @staticmethod
    def _indexes(shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.arange(shape[0], dtype=np.int32)[:, None, None], shape)


class FactorizedCoder(Coder):
    """bmshj2018-factorized: y has the factorised prior itself."""

    multiple = 16
    streams = 1

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.bottleneck = Bottleneck(network.entropy_bottleneck)

    def compress(self, latents: Sequence[Tensor]) -> list[Coded]:
        return [
            Coded([stream], [symbols], y_hat)
            for stream, symbols, y_hat in map(self.bottleneck.compress, latents)
        ]

    def decompress(self, strings: list[bytes], height: int, width: int) -> Coded:
        symbols, y_hat = self.bottleneck.decompress(strings[0], *self.latent_size(height, width))
        return Coded(strings, [symbols], y_hat)


class Scales:
    """Which row of the Gaussian tables a scale belongs to."""

    def __init__(self, conditional: Any) -> None:
        self.tables = Tables(conditional)
        # Below the first entry all is one row, which is also what the lower bound of the scales means.
        self.boundaries = conditional.scale_table[:-1].clone().contiguous()
        self.bound = float(conditional.lower_bound_scale.bound)

    def indexes(self, scales: Tensor) -> Tensor:
        """The number of table entries, but for the last, that lie below: CompressAI's ``build_indexes``."""
        return torch.bucketize(scales.clamp_min(self.bound).contiguous(), self.boundaries, out_int32=True)


class HyperpriorCoder(Coder):
    """Hyperpriors without context: bmshj2018-hyperprior (no means), mbt2018-mean, HiFiC."""

    def __init__(self, network: Any, *, means: bool) -> None:
        super().__init__(network)
        self.bottleneck = Bottleneck(network.entropy_bottleneck)
        self.scales = Scales(network.gaussian_conditional)
        self.means = means

    def hyper_analyse(self, y: Tensor) -> Tensor:
        return self.network.h_a(y if self.means else torch.abs(y))

    def parameters(self, z_hat: Tensor) -> tuple[Tensor, Tensor | None]:
        """scales and means of y."""
        if not self.means:
            return self.network.h_s(z_hat), None
        scales, means = self.network.h_s(z_hat).chunk(2, 1)
        return scales, means

    def compress(self, latents: Sequence[Tensor]) -> list[Coded]:
        coded = []
        with one_thread():
            for y in latents:
                z_stream, z_symbols, z_hat = self.bottleneck.compress(self.hyper_analyse(y))
                scales, means = self.parameters(z_hat)
                symbols = symbols_of(y, means)
                stream = self.scales.tables.encode(symbols.numpy(), self.scales.indexes(scales).numpy())
                numbers = [symbols[0].numpy(), z_symbols]
                coded.append(Coded([stream, z_stream], numbers, latents_of(symbols, means)))
        return coded

    def decompress(self, strings: list[bytes], height: int, width: int) -> Coded:
        with one_thread():
            rows, columns = self.latent_size(height, width)
            z_symbols, z_hat = self.bottleneck.decompress(strings[1], rows // 4, columns // 4)
            scales, means = self.parameters(z_hat)
            indexes = self.scales.indexes(scales).numpy()
            symbols = torch.from_numpy(self.scales.tables.decode(strings[0], indexes))
        return Coded(strings, [symbols[0].numpy(), z_symbols], latents_of(symbols, means))


class HiFiCCoder(HyperpriorCoder):
    """HiFiC's own names for the same parts."""

    def __init__(self, network: Any) -> None:
        Coder.__init__(self, network)
        self.bottleneck = Bottleneck(network.prior)
        self.scales = Scales(network.conditional)
        self.means = True

    def analyse(self, picture: Tensor) -> Tensor:
        return self.network.analyse(picture)  # it pads as its family does

    def hyper_analyse(self, y: Tensor) -> Tensor:
        return self.network.hyper_analysis(y)

    def parameters(self, z_hat: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network.hyper_scales(z_hat), self.network.hyper_means(z_hat)

    def synthesise(self, y_hat: Tensor) -> Tensor:
        return self.network.synthesise(y_hat)
