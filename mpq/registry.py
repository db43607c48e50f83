"""Names to things: codecs, models and data sets, found in this package and in installed plug-ins.

A module put into the registry's package is found without being listed anywhere: each public subclass of
the registry's base class that the module defines and that has a ``name`` is an entry. Models and data sets have a
registry and a folder a task. Installed packages add theirs through entry-point groups (``mpq.tasks``, ``mpq.codecs``,
``mpq.models``, ``mpq.datasets``; the last two for all tasks, as their classes' ``task`` says).
Modules are imported when a name is first asked for, so they must not import heavy libraries at the top.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from functools import cache, cached_property
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from mpq.errors import UserError

T = TypeVar("T")


def suggestion(word: str, known: list[str]) -> str:
    """`` — did you mean 'x'?`` or the list of what there is, to end a sentence with."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; there are: {', '.join(sorted(known))}" if known else ""


class Registry(Generic[T]):
    """Lazily discovered subclasses of ``base`` ("module:Class"), by their ``name``.

    package: whose modules are searched, if there is one of that name. group: of entry points; the package's name unless told. task: takes only
    classes of that ``task``.
    """

    def __init__(
        self, kind: str, package: str, base: str, group: str | None = None, task: str | None = None
    ) -> None:
        self.kind = kind
        self.package = package
        self.group = group or package
        self.task = task
        self._base = base  # imported late so that the package may import its registry

    @cached_property
    def entries(self) -> dict[str, type[T]]:
        module_name, _, class_name = self._base.partition(":")
        base = getattr(importlib.import_module(module_name), class_name)
        found: dict[str, Any] = {}
        for module in self._modules():
            thing: Any
            for _, thing in inspect.getmembers(module, inspect.isclass):
                own = issubclass(thing, base) and thing.__module__ == module.__name__
                named = isinstance(getattr(thing, "name", None), str) and not thing.__name__.startswith("_")
                if own and named:
                    found[thing.name] = thing
        for entry in entry_points(group=self.group):
            what = f"the plug-in {self.kind} '{entry.name}' ({entry.value})"
            try:
                thing = entry.load()
            except Exception as error:
                raise UserError(f"{what} cannot be loaded: {error}") from error
            if not (inspect.isclass(thing) and issubclass(thing, base)):
                raise UserError(f"{what} is not a {base.__name__}")
            if self.task is not None and getattr(thing, "task", None) != self.task:
                continue
            if entry.name in found:
                raise UserError(f"{what} has a name that is taken")
            found[entry.name] = thing
        return found

    def _modules(self) -> list[Any]:
        if find_spec(self.package) is None:
            return []
        package = importlib.import_module(self.package)
        return [
            importlib.import_module(info.name)
            for info in pkgutil.iter_modules(package.__path__, f"{self.package}.")
        ]

    def get(self, name: str) -> type[T]:
        """The class called ``name``. Raises UserError with the nearest name there is."""
        try:
            return self.entries[name]
        except KeyError:
            raise UserError(f"unknown {self.kind} '{name}'{suggestion(name, list(self.entries))}") from None


tasks: Registry = Registry("task", "mpq.tasks", "mpq.tasks.base:Task")
codecs: Registry = Registry("codec", "mpq.codecs", "mpq.codecs.base:Codec")


@cache
def models(task: str) -> Registry:
    """The models that a task's questions can be put to."""
    return Registry("model", f"mpq.models.{task}", "mpq.models.base:ModelSource", "mpq.models", task)


@cache
def datasets(task: str) -> Registry:
    """The data sets that a task can be made with."""
    return Registry(
        "data set", f"mpq.datasets.{task}", "mpq.datasets.base:DatasetReader", "mpq.datasets", task
    )
