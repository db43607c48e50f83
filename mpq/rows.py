"""The rows of a result: one a sample and cell. Fields are documented where they are declared: those of all rows
here, the others with their medium and their task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_VERSION = 4
"""Raised whenever the meaning of a field or the way it is made changes: older cells are then made anew."""


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    doc: str


FIRST = (
    Field("cell", "string", "hash of all that shaped the row; the name of its cell's file"),
    Field("sample", "string", "the sample's id: its path in the data set"),
    Field("source_sha256", "string", "sha256 of the sample's file; null where it could not be read"),
    Field("dataset", "string", "the data set's name"),
    Field("model", "string", "the model's spec"),
    Field("weights_sha256", "string", "sha256 of the file that the model's weights were read from"),
    Field("codec", "string", "the codec's name"),
    Field("setting", "string", "the codec's setting, key=value,…; empty for 'none'"),
    Field("bits", "int64", "bits of the whole bitstream; of the stored file for 'none'"),
    Field("payload_bits", "int64", "bits of the entropy-coded signal in it"),
)

LAST = (
    Field(
        "encode_ms",
        "float64",
        "milliseconds to encode, one thread, of a walk of many pictures its share; not part of the result proper",
    ),
    Field(
        "decode_ms",
        "float64",
        "milliseconds to decode, one thread, of what an encoder handed over the synthesis; likewise",
    ),
    Field(
        "decoded_from",
        "string",
        "'bitstream', or 'encoder' where the encoder handed over the decoder's output",
    ),
    Field("error", "string", "why there is no score, 'source: …', 'codec: …'; null where there is one"),
)

TIMINGS = ("encode_ms", "decode_ms")
"""The fields that differ from run to run."""


def schema(fields: Sequence[Field]) -> pa.Schema:
    import pyarrow as pa

    types: dict[str, Any] = {
        "string": pa.string(),
        "bool": pa.bool_(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "list": pa.list_(pa.int32()),
        "counts": pa.list_(pa.int64()),
        "floats": pa.list_(pa.float32()),
        "doubles": pa.list_(pa.float64()),
        "words": pa.list_(pa.string()),
        "binary": pa.binary(),
    }
    return pa.schema(
        [pa.field(f.name, types[f.type], metadata={"doc": f.doc.encode()}) for f in fields],
    )


def to_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as dictionaries -> a table; absent fields are null, unknown ones an error."""
    import pyarrow as pa

    for row in rows[:1]:
        if strange := row.keys() - set(schema.names):
            raise KeyError(f"no such row field: {sorted(strange)}")
    return pa.Table.from_pydict({n: [row.get(n) for row in rows] for n in schema.names}, schema=schema)


def column(table: pa.Table, name: str) -> np.ndarray:
    """(samples,) float64, NaN where null, or where the rows have no such field."""
    if name not in table.schema.names:
        return np.full(table.num_rows, np.nan)
    return np.array([np.nan if v is None else float(v) for v in table.column(name).to_pylist()])
