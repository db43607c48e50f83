"""What ``mpq reproduce`` is asked for: which rows, and where their data and weights lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mpq.errors import UserError
from mpq.published import EXPERIMENTS
from mpq.published.experiment import Row
from mpq.registry import suggestion


@dataclass(frozen=True)
class Request:
    """Raises UserError for a name that is none of the rows'.

    rows: parts of rows' names, such as ``imagenet``, ``jpeg`` or ``imagenet/vit-b16/jpeg``; none is all. data:
    experiment -> what ``--data`` of a sweep takes. weights, instead: name of a model or codec -> a file, another spec.
    limit: samples, if fewer than were published. out: a folder, in which each experiment gets its own.
    """

    rows: tuple[str, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    seed: int = 0
    out: str = "runs/reproduce"

    def __post_init__(self) -> None:
        experiments = list({row.experiment.name: row.experiment for row in self.chosen}.values())
        parts = dict.fromkeys(part for e in experiments for part in (*e.models, *e.coders))
        _check(self.data, [e.name for e in experiments], "data")
        _check(self.weights, list(parts), "weights")
        _check(self.instead, list(parts), "instead")

    @cached_property
    def chosen(self) -> list[Row]:
        """The rows asked for, in the order of the published figure."""
        every = [row for experiment in EXPERIMENTS.values() for row in experiment.rows]
        found: set[int] = set() if self.rows else set(range(len(every)))
        for text in self.rows:
            wanted = set(text.split("/"))
            matching = {i for i, row in enumerate(every) if wanted <= set(row.name.split("/"))}
            if not matching:
                parts = dict.fromkeys(part for row in every for part in row.name.split("/"))
                raise UserError(f"no published row is called '{text}'{suggestion(text, list(parts))}")
            found |= matching
        return [row for i, row in enumerate(every) if i in found]


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` each -> name to value. Raises UserError."""
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not (name and value):
            raise UserError(f"--{option} is NAME=VALUE here, not '{text}'")
        if name in found:
            raise UserError(f"--{option} names {name} twice")
        found[name] = value
    return found


def _check(given: Mapping[str, str], known: list[str], option: str) -> None:
    for name in given:
        if name not in known:
            raise UserError(f"--{option}: no row that is asked for has a '{name}'{suggestion(name, known)}")
