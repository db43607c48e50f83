"""How published numbers are kept: an experiment's lines, and a row for each number of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mpq.published.differences import DIFFERENCES

Counting = Literal["files", "strings", "codes", "bytes"]
"""What a rate as printed counts: whole files' bits, entropy-coded strings' bits, codes' bits, whole files' bytes."""

CODES, SCALE = 6000, 32
"""Bits of a whole chunk of EnCodec's 48 kHz model at 6 kbps: 150 frames of 4 codes of 10 bits, and a float32 scale."""

CORRECTION: dict[Counting, float] = {"files": 1, "strings": 1, "codes": (CODES + SCALE) / CODES, "bytes": 8}
"""What a rate as printed is to be multiplied by."""


@dataclass(frozen=True)
class Place:
    """Where numbers stand."""

    notebook: str
    cells: str
    commit: str = "935db1f"

    def __str__(self) -> str:
        return f"{self.notebook}.ipynb, cell {self.cells}, commit {self.commit}"


@dataclass(frozen=True)
class Coder:
    """A codec at the published setting. spec: ours."""

    title: str
    spec: str
    counting: Counting = "files"
    differences: tuple[str, ...] = ()


Kind = Literal["score", "mean", "mean of dB", "dB of mean"]
"""A task's score; or of a similarity the mean, the mean of −10 log10 of each, −10 log10 of the mean."""


@dataclass(frozen=True)
class Numbers:
    """What one line of the published table holds.

    of: a model's name, or a similarity's. key: our score's, or our similarity's name; "" where nothing of ours is like
    it. values: without a codec, then one a codec; None where there is none, all None for what ours shows beside them.
    Shares in [0, 1], or dB. samples: if not the experiment's. differences: of all, and of some codecs.
    """

    of: str
    key: str
    title: str
    values: tuple[float | None, ...]
    place: Place
    kind: Kind = "score"
    samples: int | None = None
    differences: tuple[str, ...] = ()
    of_codecs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Row:
    """One published number. codec: "none" for the original. rate: as printed, bits (or bytes) a pixel or a sample."""

    experiment: Experiment
    numbers: Numbers
    codec: str
    value: float | None
    rate: float | None
    differences: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.experiment.name}/{self.numbers.of}/{self.codec}"

    @property
    def samples(self) -> int:
        return self.numbers.samples or self.experiment.samples

    @property
    def corrected(self) -> float | None:
        """The rate in bpp, or in kbps, with what was forgotten in it."""
        if self.rate is None:
            return None
        return (
            self.rate * CORRECTION[self.experiment.coders[self.codec].counting] * self.experiment.per_sample
        )

    @property
    def comparable(self) -> bool:
        return self.value is not None and not any(DIFFERENCES[key].other for key in self.differences)


@dataclass(frozen=True)
class Data:
    """where: it is had. option: how it is named. which: of its samples were taken.

    To tell it from other data: files: a pattern of its files' names without their endings, hub: of its name on the hub.
    called: what our reader calls it. classes: their names. whole: the published samples are all that there are.
    """

    where: str
    option: str
    which: str
    files: str = ".*"
    hub: str = "(?!)"
    called: str = ""
    classes: tuple[str, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class Experiment:
    """A data set with its models and codecs. per_sample: bits a pixel or sample -> bpp, or kbps."""

    name: str
    title: str
    task: str
    samples: int
    data: Data
    models: dict[str, str]
    coders: dict[str, Coder]
    numbers: tuple[Numbers, ...]
    rates: tuple[float, ...]
    rates_place: Place
    per_sample: float = 1.0

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        made = []
        for numbers in self.numbers:
            for codec, value, rate in zip(
                ("none", *self.coders), numbers.values, (None, *self.rates), strict=True
            ):
                if value is None and any(numbers.values):
                    continue
                own = self.coders[codec].differences if codec != "none" else ()
                special = tuple(key for name, key in numbers.of_codecs if name == codec)
                made.append(Row(self, numbers, codec, value, rate, (*numbers.differences, *own, *special)))
        return tuple(made)
