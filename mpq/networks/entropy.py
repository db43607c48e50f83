"""Range coding of integer symbols with CompressAI's coder and tables: its bytes, without its overhead.

CompressAI hands all tables to its C++ coder as Python lists at every call: 64 rows of up to 3,000 numbers.
Here each call gets only the rows that its symbols use, which changes no byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from compressai.ans import BufferedRansEncoder, RansDecoder

SPARE = 64
"""Zero bytes put behind a stream: the decoder reads on where a damaged stream has it look for more."""


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
        used, renumbered = np.unique(indexes, return_inverse=True)
        rows = used.tolist()
        return (
            renumbered.reshape(-1).tolist(),
            [self.rows[i] for i in rows],
            [self.lengths[i] for i in rows],
            [self.offsets[i] for i in rows],
        )

    def encode(self, symbols: np.ndarray, indexes: np.ndarray) -> bytes:
        """symbols, indexes (which row a symbol is coded with): integers of one shape, coded in C order."""
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
        # No valid stream of so many symbols reads further than this, and a damaged one reads zeros.
        self._decoder.set_stream(stream + bytes(SPARE + 4 * symbols))

    def take(self, indexes: np.ndarray) -> np.ndarray:
        values = self._decoder.decode_stream(*self.tables.used(indexes))
        return np.array(values, dtype=np.int32).reshape(indexes.shape)
