"""``mpq weights``: which weights codecs can have, whether they are here, and making them so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpq.codecs.base import parse_codec
from mpq.codecs.learned import LearnedCodec
from mpq.errors import UserError
from mpq.registry import codecs as registry
from mpq.weights.sources import sha256_of, unlike_its_name


@dataclass(frozen=True)
class Item:
    """One file: whose setting it serves, its address ('' for what ships with the suite), its place, its licence."""

    codec: LearnedCodec
    url: str
    path: Path
    licence: str

    @property
    def here(self) -> bool:
        return self.path.is_file()


def items(specs: tuple[str, ...] = ()) -> list[Item]:
    """The weights of ``specs``, or of every codec that has usual ones. Raises UserError for a codec without."""
    names = specs or tuple(
        f"{name}:metric=mse,ms-ssim,{cls.ladder}" if any(p.name == "metric" for p in cls.parameters) else name
        for name, cls in sorted(registry.entries.items())
        if issubclass(cls, LearnedCodec) and cls.ladder
    )
    found = []
    for spec in names:
        for codec in parse_codec(spec):
            if not isinstance(codec, LearnedCodec) or not type(codec).ladder:
                raise UserError(f"{codec.name} has no weights to fetch")
            found.append(Item(codec, codec.url, codec.place, codec.licence))
    return found


def fetch(specs: tuple[str, ...]) -> list[Item]:
    """Downloads what is not here yet. Raises UserError with the first that cannot be had."""
    wanted = items(specs)
    for item in wanted:
        item.codec.published()
    return wanted


def verify(specs: tuple[str, ...]) -> list[tuple[Item, str]]:
    """Each file that is here, and what is wrong with it: '' where its name's hash fits and it loads."""
    results = []
    for item in items(specs):
        if not item.here:
            if specs:
                raise UserError(f"the weights of {item.codec.spec} are not here; mpq weights fetch gets them")
            continue
        wrong = unlike_its_name(item.path) or ""
        if not wrong:
            try:
                item.codec.load(item.path)
            except UserError as error:
                wrong = str(error)
        results.append((item, wrong))
    return results


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
