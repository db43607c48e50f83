"""Names to things: codecs, models and data sets, found in this package and in installed plug-ins.

A module put into the registry's package is found without being listed anywhere: each public subclass of
the registry's base class that the module defines and that has a ``name`` is an entry. Installed packages
add theirs through the entry-point group of the same name (``mpq.tasks``,
``mpq.codecs``, ``mpq.models``, ``mpq.datasets``).
Modules are imported when a name is first asked for, so they must not import heavy libraries at the top.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from functools import cached_property
from importlib.metadata import entry_points
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
    """Lazily discovered subclasses of ``base``, by their ``name``."""

    def __init__(self, kind: str, package: str, base: str) -> None:
        self.kind = kind
        self.package = package
        self._base = base  # "module:Class", imported late so that the package may import its registry

    @cached_property
    def entries(self) -> dict[str, type[T]]:
        module_name, _, class_name = self._base.partition(":")
        base = getattr(importlib.import_module(module_name), class_name)
        found: dict[str, Any] = {}
        package = importlib.import_module(self.package)
        for info in pkgutil.iter_modules(package.__path__, f"{self.package}."):
            module = importlib.import_module(info.name)
            thing: Any
            for _, thing in inspect.getmembers(module, inspect.isclass):
                own = issubclass(thing, base) and thing.__module__ == module.__name__
                if (
                    own
                    and isinstance(getattr(thing, "name", None), str)
                    and not thing.__name__.startswith("_")
                ):
                    found[thing.name] = thing
        for entry in entry_points(group=self.package):
            try:
                thing = entry.load()
            except Exception as error:
                raise UserError(
                    f"the plug-in {self.kind} '{entry.name}' ({entry.value}) cannot be loaded: {error}"
                ) from error
            if not (inspect.isclass(thing) and issubclass(thing, base)):
                raise UserError(
                    f"the plug-in {self.kind} '{entry.name}' ({entry.value}) is not a {base.__name__}"
                )
            if entry.name in found:
                raise UserError(
                    f"the plug-in {self.kind} '{entry.name}' ({entry.value}) has a name that is taken"
                )
            found[entry.name] = thing
        return found

    def get(self, name: str) -> type[T]:
        """The class called ``name``. Raises UserError with the nearest name there is."""
        try:
            return self.entries[name]
        except KeyError:
            raise UserError(f"unknown {self.kind} '{name}'{suggestion(name, list(self.entries))}") from None


def _registries() -> tuple[Registry, Registry, Registry, Registry]:
    return (
        Registry("task", "mpq.tasks", "mpq.tasks.base:Task"),
        Registry("codec", "mpq.codecs", "mpq.codecs.base:Codec"),
        Registry("model", "mpq.models", "mpq.models.base:ClassifierSource"),
        Registry("data set", "mpq.datasets", "mpq.datasets.base:DatasetReader"),
    )


tasks, codecs, models, datasets = _registries()
