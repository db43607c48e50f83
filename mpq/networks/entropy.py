"""Range coding of integer symbols with CompressAI's coder and tables: its bytes, without its overhead.

CompressAI hands all tables to its C++ coder as Python lists at every call: 64 rows of up to 3,000 numbers.
Here each call gets only the rows that its symbols use, which changes no byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from compressai.ans import BufferedRansEncoder, RansDecoder
from compressai.entropy_models.entropy_models import EntropyModel
from torch import nn

from mpq.errors import UserError, first_line

PRECISION = 16
"""Bits of a frequency, in CompressAI's coder: a distribution cannot have more than 2¹⁶ symbols."""

SPARE = 64
"""Zero bytes put behind a stream, and more for each of its bytes and symbols: where a damaged or crafted stream
has the decoder look for more, it finds zeros there instead of another's memory. A nibble can announce fifteen."""

LARGEST = 1 << 26
"""Symbols beyond this in magnitude are refused: CompressAI's encoder never returns from some of them."""


TABLES = ("_quantized_cdf", "_offset", "_cdf_length", "scale_table")
"""Buffers that follow from the weights, or nearly: where a file has them they are kept, for another machine may
have made them."""


def make_tables(network: nn.Module, path: Path) -> None:
    """Runs ``update()``, which fills what tables a file did not bring. Raises UserError for weights without any.

    path: whose weights they are. A damaged file can ask for tables that no memory holds.
    """
    models = [module for module in network.modules() if isinstance(module, EntropyModel)]
    for model in models:
        if (quantiles := getattr(model, "quantiles", None)) is not None:
            spread = quantiles[:, 0, 2] - quantiles[:, 0, 0]
            if not bool(((spread > 0) & (spread < 1 << PRECISION)).all()):
                raise UserError(f"{path} holds a prior whose quantiles are none")
    try:
        network.update()  # type: ignore[operator]
        for model in models:
            rows = len(model.scale_table) if hasattr(model, "scale_table") else model.channels
            sizes = [len(model._quantized_cdf), len(model._cdf_length), len(model._offset)]
            if sizes != [rows] * 3 or not bool((model._cdf_length <= model._quantized_cdf.shape[1]).all()):
                raise UserError(f"{path} holds {sizes[0]} rows of frequencies where {rows} belong")
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        raise UserError(f"{path} holds weights that no tables follow from: {first_line(error)}") from None


class Tables:
    """Cumulative frequencies, one row a distribution, of an entropy model whose ``update()`` has run."""

    def __init__(self, model: Any) -> None:
        lengths = model._cdf_length.reshape(-1).tolist()
        rows = model._quantized_cdf.tolist()
        self.rows = [row[:length] for row, length in zip(rows, lengths, strict=True)]
        self.lengths = lengths
        self.offsets = model._offset.reshape(-1).tolist()

    def used(self, indexes: np.ndarray) -> tuple[list[int], list[list[int]], list[int], list[int]]:
        """``indexes`` renumbered over the rows that they use, and those rows, their lengths and offsets."""
        present = np.bincount(indexes.reshape(-1), minlength=len(self.rows)) > 0
        rows = np.flatnonzero(present).tolist()
        renumbered = (np.cumsum(present) - 1)[indexes.reshape(-1)]
        return (
            renumbered.tolist(),
            [self.rows[i] for i in rows],
            [self.lengths[i] for i in rows],
            [self.offsets[i] for i in rows],
        )

    def encode(self, symbols: np.ndarray, indexes: np.ndarray) -> bytes:
        """symbols, indexes (which row a symbol is coded with): integers of one shape, coded in C order."""
        # Not np.abs: the lowest integer has no positive counterpart.
        if symbols.size and (symbols.max() >= LARGEST or symbols.min() <= -LARGEST):
            raise ValueError("latents too large to be coded")
        encoder = BufferedRansEncoder()
        encoder.encode_with_indexes(symbols.reshape(-1).tolist(), *self.used(indexes))
        return encoder.flush()

    def decode(self, stream: bytes, indexes: np.ndarray) -> np.ndarray:
        """int32 symbols in the shape of ``indexes``."""
        return Decoder(self, stream, indexes.size).take(indexes)


class Decoder:
    """A stream taken bit by bit: ``take`` the next symbols once their rows are known."""

    def __init__(self, tables: Tables, stream: bytes, symbols: int) -> None:
        self.tables = tables
        self._decoder = RansDecoder()
        self._decoder.set_stream(stream + bytes(SPARE + 16 * len(stream) + 8 * symbols))

    def take(self, indexes: np.ndarray) -> np.ndarray:
        values = self._decoder.decode_stream(*self.tables.used(indexes))
        return np.array(values, dtype=np.int32).reshape(indexes.shape)
