"""Plans: what a sweep is asked to do, from the command line or a YAML file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from mpq.errors import UserError
from mpq.media import MEDIA
from mpq.paths import user_path
from mpq.registry import suggestion, tasks


@dataclass(frozen=True)
class Plan:
    """A sweep's question. Every field is a key of a plan file.

    task: what is asked. codec, model: specs. data: a folder or ``NAME[:ARGUMENT]``. Codecs, models, data and similarity
    (None) are the task's own unless told. labels: a table, sought beside the data unless named; no_labels: measure fidelity even where there
    are labels. weights: model or codec spec -> file.
    similarity: names. limit: how many samples, drawn with ``seed``. max_failures: the share of samples that may fail
    before a cell does.
    """

    task: str = "classification"
    codec: tuple[str, ...] = ()
    data: str = ""
    labels: str | None = None
    no_labels: bool = False
    model: tuple[str, ...] = ()
    weights: dict[str, str] = field(default_factory=dict)
    similarity: tuple[str, ...] | None = None
    limit: int | None = None
    seed: int = 0
    max_failures: float = 0.01
    out: str | None = None

    def __post_init__(self) -> None:
        task = tasks.get(self.task)
        object.__setattr__(self, "data", self.data or task.data)
        object.__setattr__(self, "model", self.model or (task.model,))
        object.__setattr__(self, "codec", self.codec or task.codecs)
        if self.similarity is None:
            object.__setattr__(self, "similarity", task.similarity)
        measures = MEDIA[task.samples].similarities
        for name in self.similarity or ():
            if name not in measures:
                raise UserError(f"unknown similarity '{name}'{suggestion(name, list(measures))}")
            if why := measures[name].unavailable():
                raise UserError(f"{name} cannot be measured here: {why}")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"limit is at least 1, not {self.limit}")
        if self.seed < 0:
            raise UserError(f"seed is at least 0, not {self.seed}")
        if not 0 <= self.max_failures <= 1:
            raise UserError(f"max_failures is a share from 0 to 1, not {self.max_failures}")
        for spec in self.weights:
            if spec not in (known := [*self.model, *self.codec]):
                raise UserError(
                    f"weights are given for '{spec}', which is no model or codec of this plan{suggestion(spec, known)}"
                )

    def of(self, task: str) -> Plan:
        """This plan for another task, with that one's own data, models, codecs and similarity."""
        return replace(self, task=task, data="", labels=None, model=(), codec=(), weights={}, similarity=None)

    @property
    def folder(self) -> Path:
        """Where the results go: ``runs/`` and the data set's name unless told."""
        if self.out:
            return user_path(self.out)
        data = user_path(self.data)
        name = data.resolve().name if data.is_dir() else self.data
        name = f"{self.task}-{name}" if name == "embedded" and self.task != "classification" else name
        return Path("runs") / "".join(c if c.isalnum() or c in "._-" else "-" for c in name)


DEMONSTRATION = Plan(similarity=("psnr", "ssim", "ms-ssim"))
"""What ``mpq sweep`` alone does: a few hundred codings of 20 small photographs, everything measured."""


def read_plan(path: Path) -> Plan:
    """A plan from a YAML file. Raises UserError that names the wrong key or value."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the plan '{path}' cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        raise UserError(f"the plan '{path}' is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"the plan '{path}' is not a table of keys and values")
    return plan_from(content, str(path))


def plan_from(content: dict[Any, Any], where: str, base: Plan | None = None) -> Plan:
    """``base`` (the defaults, unless given) with the keys of ``content``. Raises UserError."""
    known = {f.name for f in fields(Plan)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'{suggestion(str(key), sorted(known))}")
        values[key] = _checked(key, value, where)
    return replace(base or Plan(), **values)


def _checked(key: str, value: Any, where: str) -> Any:
    wanted = {
        "codec": "a list of codec specs",
        "model": "a list of model specs",
        "similarity": "a list of names",
        "weights": "a table: model or codec spec to file",
        "limit": "a whole number",
        "seed": "a whole number",
        "max_failures": "a number",
        "no_labels": "true or false",
    }.get(key, "a word")
    if key in ("codec", "model", "similarity"):
        value = [value] if isinstance(value, str) else value
        value = [] if key == "similarity" and value == ["none"] else value
        if key == "codec" and value == []:
            raise UserError("a plan needs at least one codec")
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(value)
    elif key == "weights":
        if isinstance(value, dict) and all(isinstance(v, str) for pair in value.items() for v in pair):
            return dict(value)
    elif key == "no_labels":
        if isinstance(value, bool):
            return value
    elif key in ("limit", "seed"):
        if (isinstance(value, int) and not isinstance(value, bool)) or (value is None and key == "limit"):
            return value
    elif key == "max_failures":
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, str) or (value is None and key in ("labels", "out")):
        return value
    raise UserError(f"{where}: {key} is {wanted}, not {value!r}")


def to_yaml(plan: Plan) -> str:
    """The plan as a file that ``read_plan`` reads back to an equal plan."""
    content = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(plan).items()}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
