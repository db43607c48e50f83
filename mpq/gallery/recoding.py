"""A run's samples, read and coded again as the sweep had them: rows keep no pictures and no sounds.

What is shown is what was scored: a file that is another now, and a codec that makes other bits of it, are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.codecs.base import Codec, CodecError, parse_codec
from mpq.datasets.base import Dataset, Source
from mpq.errors import UserError
from mpq.paths import user_path
from mpq.plan import Plan
from mpq.registry import codecs, tasks
from mpq.rows import column
from mpq.samples import SampleError
from mpq.store import Store
from mpq.summary import Group, Point

if TYPE_CHECKING:
    import pyarrow as pa


class Gone(Exception):
    """What rows were made of cannot be had any more, or is something else now: a sentence for the reader."""


class Material:
    """A group's rows, and its samples read and coded again.

    made: what the run's commands left, the last first. Samples are called by their places among the rows. Of one
    sample at a time, what was read and coded is kept.
    """

    def __init__(self, group: Group, made: list[dict[str, Any]]) -> None:
        self.group = group
        self.task = tasks.get(group.task)()
        content = next(iter(group.rows.values()))[0]["dataset"]["content"]
        self._made = [
            (one["plan"], one.get("environment", {}).get("directory", ""))
            for one in made
            if one["plan"].get("dataset", {}).get("content_sha256") == content
        ]
        self._codecs: dict[str, Codec] = {}
        self._kept: tuple[int, Any] | None = None
        self._sent: dict[str, tuple[bytes, Any]] = {}

    # What the rows say

    @property
    def baseline(self) -> Point:
        """The group's; there must be one."""
        assert self.group.baseline is not None
        return self.group.baseline

    @property
    def points(self) -> list[Point]:
        """The group's, without the baseline and without what failed throughout."""
        return [p for p in self.group.points if p.samples and not p.is_baseline]

    def values(self, point: Point, name: str) -> np.ndarray:
        """(samples,) float64 of a field, NaN where there is none."""
        return column(self._rows(point), name)

    def row(self, point: Point, sample: int) -> dict[str, Any]:
        return self._rows(point).slice(sample, 1).to_pylist()[0]

    def rate(self, point: Point, sample: int) -> float:
        """The sample's own, in the unit of the group's rate."""
        row = self._rows(point).slice(sample, 1)
        return row.column("bits")[0].as_py() / float(self.group.rate.extent(row)[0])

    def seconds(self, points: Iterable[Point], sample: int) -> float:
        """What coding the sample at ``points`` took the sweep, and will take again."""
        rows = [self.row(point, sample) for point in points]
        return sum((row["encode_ms"] or 0) + (row["decode_ms"] or 0) for row in rows) / 1000

    def scored(self, points: Iterable[Point]) -> list[int]:
        """The samples that no one of ``points`` failed on."""
        errors = [self._rows(point).column("error").to_pylist() for point in points]
        return [i for i, row in enumerate(zip(*errors, strict=True)) if not any(row)]

    def name(self, sample: int) -> str:
        return self._names[sample]

    @cached_property
    def _names(self) -> list[str]:
        return self._rows(self.group.points[0]).column("sample").to_pylist()

    def _rows(self, point: Point) -> pa.Table:
        return self.group.rows[point.spec][1]

    # What they were made of

    @cached_property
    def dataset(self) -> Dataset:
        """Raises Gone."""
        why = [f"the run's folder does not say where '{self.group.dataset}' was read"]
        for plan in self._plans:
            try:
                return self.task.read(plan)
            except (UserError, OSError) as error:
                why.append(str(error))
        raise Gone(why[-1])

    @cached_property
    def model(self) -> Any:
        """Raises Gone, also where its weights are others now."""
        why = [f"the run's folder does not say what {self.group.model} was"]
        for plan in self._plans:
            weights = plan.weights.get(self.group.model)
            try:
                model = self.task.load(self.group.model, user_path(weights) if weights else None)
                if model.weights_sha256 == self.group.weights_sha256:
                    return model
                why.append(f"{self.group.model} has other weights now")
            except (UserError, OSError) as error:
                why.append(str(error))
        raise Gone(why[-1])

    def source(self, sample: int) -> Source:
        """Raises Gone."""
        if self.name(sample) not in self._sources:
            raise Gone(f"{self.name(sample)} is not among '{self.group.dataset}' any more")
        return self._sources[self.name(sample)]

    def original(self, sample: int) -> Any:
        """Raises Gone, also where the file is another now."""
        if self._kept is None or self._kept[0] != sample:
            source = self.source(sample)
            try:
                read = self.task.medium.read(source.read())
            except (SampleError, OSError) as error:
                raise Gone(f"{source.id} cannot be read any more: {error}") from None
            digest = hashlib.sha256(read.stored or b"").hexdigest()
            if digest != self.row(self.group.points[0], sample)["source_sha256"]:
                raise Gone(f"{source.id} is another file now")
            self._kept, self._sent = (sample, read), {}
        return self._kept[1]

    def decoded(self, point: Point, sample: int) -> Any:
        """What came out of ``point``'s codec. Raises Gone, also where it makes other bits now."""
        return self.coded(point, sample)[1]

    def coded(self, point: Point, sample: int) -> tuple[bytes, Any]:
        """The bitstream, and what came out. Raises Gone."""
        original = self.original(sample)
        if point.spec not in self._sent:
            (sent,) = self.codec(point).transmit_all([original])
            if isinstance(sent, CodecError):
                raise Gone(f"{point.spec} cannot code {self.name(sample)} any more: {sent}")
            if sent.bitstream.bits != self.row(point, sample)["bits"]:
                raise Gone(f"{point.spec} makes other bits of {self.name(sample)} now")
            self._sent[point.spec] = sent.bitstream.data, sent.decoded
        return self._sent[point.spec]

    def codec(self, point: Point) -> Codec:
        """As ``point`` had it, ready. Raises Gone."""
        if point.spec not in self._codecs:
            codec = self._asked(self.group.rows[point.spec][0]["codec"])
            try:
                codec.prepare()
            except (UserError, OSError) as error:
                raise Gone(str(error)) from None
            self._codecs[point.spec] = codec
        return self._codecs[point.spec]

    @cached_property
    def _plans(self) -> list[Plan]:
        """Those that the data set was read with, but for similarities, which may not be measurable here."""
        known = [field.name for field in fields(Plan)]
        plans = []
        for made, directory in self._made:
            values = {key: made[key] for key in known if key in made}
            values |= {key: _from(directory, values[key]) for key in ("data", "labels") if values.get(key)}
            values |= {key: tuple(values[key]) for key in ("codec", "model") if key in values}
            try:
                plans.append(Plan(**values | {"similarity": ()}))
            except UserError:  # another version's: its data may still be another plan's
                continue
        return list({str(plan): plan for plan in plans}.values())

    @cached_property
    def _sources(self) -> dict[str, Source]:
        return {source.id: source for source in self.dataset.sources}

    def _asked(self, identity: dict[str, Any]) -> Codec:
        """The setting of any of the plans that has this identity. Raises Gone."""
        name = identity["name"]
        why = f"the run's folder does not say how {name} was set"
        for plan in self._plans:
            for spec in map(str.strip, plan.codec):
                weights = plan.weights.get(spec)
                try:
                    other = codecs.get(spec).instead() if ":" not in spec and not weights else None
                    asked = other[0] if other else spec
                    if asked.partition(":")[0] != name:
                        continue
                    for codec in parse_codec(asked, user_path(weights) if weights else None):
                        if codec.identity == identity:
                            return codec
                        if codec.identity["values"] == identity["values"]:
                            why = f"{name} is another version here ({codec.version}) than the run's ({identity['version']})"
                except (UserError, OSError) as error:
                    why = str(error)
        raise Gone(why)


def materials(store: Store, groups: list[Group]) -> list[Material]:
    """One a group. groups: of the store's cells."""
    made = list(reversed(store.read_invocations()))
    return [Material(group, made) for group in groups]


def _from(directory: str, named: str) -> str:
    """A path (or DATASET:PATH) as the command named it in its own directory, where it still is there."""
    head, colon, tail = named.rpartition(":")
    path = Path(directory, tail)
    return f"{head}{colon}{path}" if tail and directory and path.exists() else named
