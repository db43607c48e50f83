"""A classifier's classes, and what data sets call them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache


@dataclass(frozen=True)
class LabelSpace:
    """names: for each output, what it may be called; the first is what reports print."""

    names: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _index(self) -> dict[str, int]:
        # A name that two classes share (ImageNet has two cranes) says nothing and resolves to neither.
        counts = Counter(name for aliases in self.names for name in {a.casefold() for a in aliases})
        return {
            alias.casefold(): i
            for i, aliases in enumerate(self.names)
            for alias in aliases
            if counts[alias.casefold()] == 1
        }

    def resolve(self, label: str) -> int | None:
        """The output's index for an index in digits, an id or a name; None if there is no such class."""
        if label.casefold() in self._index:
            return self._index[label.casefold()]
        if label.isascii() and label.isdigit() and int(label) < len(self.names):
            return int(label)
        return None

    def title(self, index: int) -> str:
        return self.names[index][0] if self.names[index] else str(index)


def unnamed(count: int) -> LabelSpace:
    """Classes that are known by their index alone."""
    return LabelSpace(((),) * count)


def named(names: list[str]) -> LabelSpace:
    """Classes by name; synonyms separated by commas, as in 'tench, Tinca tinca'."""
    return LabelSpace(tuple(_synonyms(name) for name in names))


@lru_cache(maxsize=1)
def imagenet_1k() -> LabelSpace:
    """ImageNet-1k in the usual order (sorted WordNet ids), by name and by WordNet id."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    descriptions = info.label_descriptions()
    return LabelSpace(
        tuple((*_synonyms(words), wnid) for words, wnid in zip(descriptions, info.label_names(), strict=True))
    )


def _synonyms(name: str) -> tuple[str, ...]:
    parts = [part.strip() for part in name.split(",")]
    return tuple(dict.fromkeys(part for part in (*parts, name.strip()) if part))
