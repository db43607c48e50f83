"""Hugging Face data sets: streamed once into a folder of files in the cache, then read from there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from mpq.datasets.base import Dataset, DatasetReader, Source
from mpq.errors import UserError, first_line
from mpq.paths import user_path
from mpq.weights.sources import unreachable

MAX_STREAMED = 1000
"""Samples that are taken from a stream unless the argument says otherwise."""


@dataclass(frozen=True)
class Columns:
    """What is taken of each row.

    sample: the column of the samples' files. label: of a row, None where it has none. classes: their names in index
    order.
    """

    sample: str
    label: Callable[[dict[str, Any]], str | None]
    classes: tuple[str, ...] = ()


class HubReader(DatasetReader):
    """``hf:OWNER/NAME``, ``hf:OWNER/NAME/CONFIG@SPLIT#COUNT``; NAME may be a local folder.

    The first COUNT samples (1,000 unless told) of the split (validation, else test, else train) are kept as they are
    encoded in the data set. Which columns are read is the subclass's affair.

    holding: the kind of column that it cannot do without, in words.
    """

    layout = "hf:NAME[/CONFIG][@SPLIT][#COUNT], e.g. hf:beans@test; needs the network once"
    holding: ClassVar[str]

    @abstractmethod
    def columns(self, features: dict[str, Any]) -> Columns | None:
        """What to take, of a data set's columns by name; None where the needed one is not among them."""

    def read(self, argument: str, labels: str | None) -> Dataset:
        match = re.fullmatch(r"(?P<name>[^@#]+)(@(?P<split>[^#]+))?(#(?P<count>\d+))?", argument)
        if match is None or labels:
            raise UserError(f"'hf:{argument}' is not hf:NAME[/CONFIG][@SPLIT][#COUNT]")
        name, split = match["name"], match["split"]
        count = int(match["count"] or MAX_STREAMED)
        folder = _cache() / self.task / _folder_name(f"{name}@{split or ''}#{count}")
        index = folder / "index.json"
        if not index.is_file() or _located(name)[2]:  # what is local may have changed
            try:
                self._spool(name, split, count, folder)
            except OSError as error:
                raise UserError(f"hf:{name} cannot be kept in {folder}: {error.strerror or error}") from None
        content = json.loads(index.read_text())
        sources = [Source(file, folder / file, label) for file, label in content["samples"]]
        return Dataset(
            f"hf:{argument}",
            tuple(sources),
            classes=tuple(content["classes"]),
            problems=tuple(content["problems"]),
        )

    def _spool(self, name: str, split: str | None, count: int, folder: Path) -> None:
        """Writes ``count`` samples as files, and index.json last: a folder without it is not finished."""
        stream, features = _open_stream(name, split)
        columns = self.columns(features)
        if columns is None:
            raise UserError(f"hf:{name} has no {self.holding} column; its columns: {', '.join(features)}")
        folder.mkdir(parents=True, exist_ok=True)
        samples: list[tuple[str, str | None]] = []
        problems: list[str] = []
        for i, row in enumerate(islice(_rows(stream, name), count)):
            cell = row[columns.sample] or {}
            data = _content(cell, name)
            if data is None:
                problems.append(f"hf:{name} row {i}: nothing is stored in '{columns.sample}'")
                continue
            file = f"{i:06d}{_suffix(cell)}"
            (folder / file).write_bytes(data)
            samples.append((file, columns.label(row)))
        beside = folder / "index.json.tmp"
        content = {"classes": columns.classes, "samples": samples, "problems": problems}
        beside.write_text(json.dumps(content))
        beside.replace(folder / "index.json")

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


def _cache() -> Path:
    base = os.environ.get("MPQ_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "mpq"
    return Path(base).expanduser() / "hf"


def _folder_name(text: str) -> str:
    """Readable, short enough for a file system, and different for every text."""
    readable = re.sub(r"[^\w.-]+", "--", text)[-80:]
    return f"{readable}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _located(name: str) -> tuple[str, str | None, bool]:
    """Path or name on the hub, configuration if one is named, and whether it is local."""
    path = user_path(name)
    if path.exists():
        return str(path), None, True
    if "/" in name and path.parent.is_dir():
        return str(path.parent), path.name, True
    owner, _, rest = name.partition("/")
    repository, _, configuration = rest.partition("/")
    return (f"{owner}/{repository}" if rest else owner), configuration or None, False


def _content(cell: dict[str, Any], name: str) -> bytes | None:
    """A sample's file: in the row, or where the row says that it lies (on the hub, in an archive there).

    A data set of the hub's must not name files of this machine.
    """
    import fsspec

    path = cell.get("path") or ""
    if cell.get("bytes") is not None:
        return cell["bytes"]
    if not path or not (_located(name)[2] or path.rpartition("::")[2].startswith(("hf://", "https://"))):
        return None
    try:
        with fsspec.open(path, "rb") as file:
            return file.read()
    except Exception as error:  # the file systems behind it have their own
        raise _broken(name, error) from None


def _suffix(cell: dict[str, Any]) -> str:
    """What the sample's file ends in, where the data set tells in a way that can be trusted with a file name."""
    suffix = Path(str(cell.get("path") or "").partition("::")[0]).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""


def _rows(stream: Any, name: str) -> Iterator[dict[str, Any]]:
    """As Arrow's tables hold them: files are not decoded, for which the library would need another one (torchcodec)."""
    try:
        for table in stream.with_format("arrow"):
            yield from table.to_pylist()
    except (OSError, ValueError, RuntimeError) as error:  # the hub went away, or a file is damaged
        raise _broken(name, error) from None


def _broken(name: str, error: Exception) -> UserError:
    return UserError(f"the data set hf:{name} broke off: {_said(error)}")


def _said(error: Exception) -> str:
    """On one line; the names of configurations, say, stand on the second of the library's own."""
    return " ".join(str(error).split())[:200] or first_line(error)


def _open_stream(name: str, split: str | None) -> tuple[Any, Any]:
    from datasets import load_dataset

    place, configuration, local = _located(name)
    why = None if local else unreachable("huggingface.co")
    if why:
        raise UserError(
            f"the data set hf:{name} cannot be had: {why}; a folder of your own does too: --data DIR"
        )
    try:
        splits = load_dataset(place, configuration, streaming=True)
    except Exception as error:  # the library raises its own, httpx's, and the file systems' errors
        raise UserError(
            f"the data set hf:{name} cannot be had: {_said(error)} "
            "(it needs the network once; a folder of your own works without: --data DIR)"
        ) from None
    wanted = [split] if split else ["validation", "test", "train", *splits]
    chosen = next((s for s in wanted if s in splits), None)
    if chosen is None:
        raise UserError(f"hf:{name} has no split '{split}'; it has: {', '.join(splits)}")
    stream = splits[chosen]
    features = stream.features or stream._resolve_features().features
    return stream, features
