"""``mpq weights``: which weights codecs can have, whether they are here, and making them so."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from mpq.codecs.base import Codec, parse_codec
from mpq.codecs.learned import LearnedCodec
from mpq.codecs.neural_audio import NeuralAudioCodec
from mpq.errors import UserError
from mpq.registry import codecs as registry
from mpq.weights.sources import sha256_of, unlike_its_name


@dataclass(frozen=True)
class Item:
    """One file: a setting that it serves, its address ('' for what ships with the suite), its place, its licence."""

    codec: LearnedCodec | NeuralAudioCodec
    url: str
    path: Path
    licence: str

    @property
    def here(self) -> bool:
        return self.path.is_file()


def items(specs: tuple[str, ...] = ()) -> list[Item]:
    """The weights of ``specs``, or of every codec that has usual ones. Raises UserError for a codec without."""
    names = specs or tuple(_all_of(cls) for _, cls in sorted(registry.entries.items()) if _has_weights(cls))
    found: dict[Path, Item] = {}
    for spec in names:
        for codec in parse_codec(spec):
            if not isinstance(codec, LearnedCodec | NeuralAudioCodec) or not _has_weights(type(codec)):
                raise UserError(f"{codec.name} has no weights to fetch")
            if isinstance(codec, NeuralAudioCodec):  # all bit rates of a model have one file
                codec = type(codec)(model=codec.values["model"])
            found.setdefault(codec.place, Item(codec, codec.url, codec.place, codec.licence))
    return list(found.values())


def _has_weights(cls: type[Codec]) -> bool:
    return issubclass(cls, LearnedCodec | NeuralAudioCodec) and bool(cls.ladder)


def _all_of(cls: type[Codec]) -> str:
    """A spec of all settings that have files of their own."""
    choices = {p.name: ",".join(map(str, p.choices)) for p in cls.parameters}
    if issubclass(cls, NeuralAudioCodec):
        return f"{cls.name}:model={choices['model']}"
    return f"{cls.name}:metric={choices['metric']},{cls.ladder}" if "metric" in choices else cls.name


def fetch(specs: tuple[str, ...]) -> list[Item]:
    """Downloads what is not here yet. Raises UserError with the first that cannot be had."""
    return [replace(item, path=item.codec.published()) for item in items(specs)]


def verify(specs: tuple[str, ...]) -> list[tuple[Item, str]]:
    """Each file that is here, and what is wrong with it: '' where its name's hash fits and it loads."""
    results = []
    for item in items(specs):
        if not item.here:
            if specs:
                raise UserError(f"the weights of {item.codec.spec} are not here; mpq weights fetch gets them")
            continue
        wrong = unlike_its_name(item.path) or _unlike_its_blob(item.path) or ""
        if not wrong:
            try:
                item.codec.load(item.path)
            except UserError as error:
                wrong = str(error)
        results.append((item, wrong))
    return results


def _unlike_its_blob(path: Path) -> str | None:
    """A sentence where a file of Hugging Face's cache is not what it is called there: its sha256."""
    name = path.resolve().name
    if not re.fullmatch(r"[0-9a-f]{64}", name) or sha256_of(path) == name:
        return None
    return f"{path} is not the published file: its sha256 does not begin with {name[:8]}"


def convert(source: Path, target: Path) -> str:
    """A published HiFiC checkpoint as safetensors, in full precision; what it was, in words. Raises UserError."""
    from mpq.networks.hific import load_checkpoint
    from mpq.networks.trained import save

    if target.suffix != ".safetensors":
        raise UserError(f"'{target}' should end in .safetensors")
    network = load_checkpoint(source)
    card = {"converted_from": source.name, "sha256": sha256_of(source)}
    save(target, network, "hific", network.configuration, card, half=False)
    return f"HiFiC, {network.shape}"
