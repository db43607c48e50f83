"""Hugging Face data sets: streamed once into a folder of files in the cache, then read from there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpq.datasets.base import Dataset, DatasetReader, Source
from mpq.errors import UserError, first_line
from mpq.weights.sources import unreachable

MAX_STREAMED = 1000
"""Samples that are taken from a stream unless the argument says otherwise."""


class HuggingFace(DatasetReader):
    """``hf:NAME``, ``hf:NAME@SPLIT``, ``hf:NAME/CONFIG@SPLIT#COUNT``; NAME may be a local folder.

    The first COUNT samples (1,000 unless told) of the split (validation, else test, else train) are kept as
    they are encoded in the data set. The first image column and the first ClassLabel column are used.
    """

    name = "hf"
    summary = "a Hugging Face data set, streamed"
    layout = "hf:NAME[@SPLIT][#COUNT], e.g. hf:beans@test; needs the network once"

    def read(self, argument: str, labels: str | None) -> Dataset:
        match = re.fullmatch(r"(?P<name>[^@#]+)(@(?P<split>[^#]+))?(#(?P<count>\d+))?", argument)
        if match is None or labels:
            raise UserError(f"'hf:{argument}' is not hf:NAME[@SPLIT][#COUNT]")
        name, split = match["name"], match["split"]
        count = int(match["count"] or MAX_STREAMED)
        folder = _cache() / re.sub(r"[^\w.-]+", "--", f"{name}@{split or ''}-{count}")
        index = folder / "index.json"
        if not index.is_file() or Path(name).exists():
            _spool(name, split, count, folder)
        content = json.loads(index.read_text())
        sources = [Source(file, folder / file, label) for file, label in content["samples"]]
        return Dataset(f"hf:{argument}", tuple(sources), classes=tuple(content["classes"]))

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


def _cache() -> Path:
    base = os.environ.get("MPQ_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "mpq"
    return Path(base).expanduser() / "hf"


def _spool(name: str, split: str | None, count: int, folder: Path) -> None:
    """Writes ``count`` samples as files, and index.json last: a folder without it is not finished."""
    from datasets import Image

    stream, features = _open_stream(name, split)
    image_column = next((k for k, f in features.items() if isinstance(f, Image)), None)
    if image_column is None:
        raise UserError(f"hf:{name} has no image column; its columns: {', '.join(features)}")
    label_column = next((k for k, f in features.items() if type(f).__name__ == "ClassLabel"), None)
    classes = list(features[label_column].names) if label_column else []
    stream = stream.cast_column(image_column, Image(decode=False))
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for i, row in enumerate(_rows(stream.take(count), name)):
        cell = row[image_column]
        data = cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()
        file = f"{i:06d}{Path(cell['path'] or '').suffix.lower() or '.img'}"
        (folder / file).write_bytes(data)
        label = row[label_column] if label_column else None
        samples.append((file, None if label is None or label < 0 else classes[label]))
    beside = folder / "index.json.tmp"
    beside.write_text(json.dumps({"classes": classes, "samples": samples}))
    beside.replace(folder / "index.json")


def _rows(stream: Any, name: str) -> Iterator[dict[str, Any]]:
    try:
        yield from stream
    except (OSError, ValueError, RuntimeError) as error:  # the hub went away, or a file is damaged
        raise UserError(f"the data set hf:{name} broke off: {' '.join(str(error).split())[:200]}") from None


def _open_stream(name: str, split: str | None) -> tuple[Any, Any]:
    from datasets import load_dataset

    why = None if Path(name).exists() else unreachable("huggingface.co")
    if why:
        raise UserError(
            f"the data set hf:{name} cannot be had: {why}; a folder of pictures does too: --data DIR"
        )
    try:
        splits = load_dataset(name, streaming=True)
    except Exception as error:  # the library raises its own, httpx's, and the file systems' errors
        raise UserError(
            f"the data set hf:{name} cannot be had: {first_line(error)} "
            "(it needs the network once; a folder of pictures works without: --data DIR)"
        ) from None
    wanted = [split] if split else ["validation", "test", "train", *splits]
    chosen = next((s for s in wanted if s in splits), None)
    if chosen is None:
        raise UserError(f"hf:{name} has no split '{split}'; it has: {', '.join(splits)}")
    stream = splits[chosen]
    features = stream.features or stream._resolve_features().features
    return stream, features
