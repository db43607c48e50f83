"""The rows of a result: one a sample and cell. Every field is documented here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_VERSION = 2
"""Raised whenever the meaning of a field or the way it is made changes: older cells are then made anew."""


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    doc: str


FIELDS = (
    Field("cell", "string", "hash of all that shaped the row; the name of its cell's file"),
    Field("sample", "string", "the sample's id: its path in the data set"),
    Field("dataset", "string", "the data set's name"),
    Field("model", "string", "the model's spec"),
    Field("weights_sha256", "string", "sha256 of the file that the model's weights were read from"),
    Field("codec", "string", "the codec's name"),
    Field("setting", "string", "the codec's setting, key=value,…; empty for 'none'"),
    Field("bits", "int64", "bits of the whole bitstream; of the stored file for 'none'"),
    Field("payload_bits", "int64", "bits of the entropy-coded signal in it"),
    Field("width", "int32", "of the original, in pixels, after EXIF rotation"),
    Field("height", "int32", "of the original, in pixels, after EXIF rotation"),
    Field("label", "int32", "the label's index among the model's classes; null without labels"),
    Field("prediction", "int32", "the model's first class on the decoded sample"),
    Field("top1", "bool", "prediction == label; null without labels"),
    Field("top5", "bool", "label among the first five; null without labels or below six classes"),
    Field("agreement", "bool", "prediction == the model's prediction on the original"),
    Field("kl", "float64", "KL divergence from the answer on the original to this one, in nats"),
    Field("top5_classes", "list", "the first five classes"),
    Field("top5_probabilities", "floats", "and their softmax probabilities"),
    Field("pid", "int64", "re-identification: whose crop it is; 0 a distractor's"),
    Field("camid", "int32", "re-identification: its camera; −1 where none is known"),
    Field("role", "string", "re-identification: 'query' or 'gallery'"),
    Field(
        "feature",
        "binary",
        "re-identification: the backbone's feature, little-endian float32, not normalised",
    ),
    Field("drift", "float64", "cosine distance of the feature to the original's"),
    Field("psnr", "float64", "dB, over RGB; infinite for equal pictures; null if not asked for"),
    Field("ssim", "float64", "0–1; null if not asked for or the picture is too small"),
    Field("ms_ssim", "float64", "0–1; null if not asked for or the picture is too small"),
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


def schema() -> pa.Schema:
    import pyarrow as pa

    types: dict[str, Any] = {
        "string": pa.string(),
        "bool": pa.bool_(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "list": pa.list_(pa.int32()),
        "floats": pa.list_(pa.float32()),
        "binary": pa.binary(),
    }
    return pa.schema(
        [pa.field(f.name, types[f.type], metadata={"doc": f.doc.encode()}) for f in FIELDS],
    )


def to_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as dictionaries -> a table; absent fields are null, unknown ones an error."""
    import pyarrow as pa

    known = {f.name for f in FIELDS}
    for row in rows[:1]:
        if strange := row.keys() - known:
            raise KeyError(f"no such row field: {sorted(strange)}")
    columns = {f.name: [row.get(f.name) for row in rows] for f in FIELDS}
    return pa.Table.from_pydict(columns, schema=schema())
