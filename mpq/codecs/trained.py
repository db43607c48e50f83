"""Codecs that this suite trained: the two that ship with it, and anybody's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mpq.codecs.base import Parameter
from mpq.codecs.learned import WEIGHTS, LearnedCodec
from mpq.errors import UserError
from mpq.weights.sources import FOLDER

if TYPE_CHECKING:
    from mpq.networks.coders import Coder


class Trained(LearnedCodec):
    """What ``mpq train codec`` wrote."""

    name = "trained"
    summary = "weights of your own, from mpq train codec"
    parameters: ClassVar[tuple[Parameter, ...]] = (WEIGHTS,)
    architecture: ClassVar[str] = ""
    """What its weights must be of; '' where any will do."""

    def published(self) -> Path:
        raise UserError(f"{self.name} needs a file that mpq train codec wrote: {self.name}:weights=FILE")

    def load(self, path: Path) -> Coder:
        from mpq.networks import coders, trained
        from mpq.networks.entropy import make_tables

        architecture, _, _ = trained.read_header(path)
        if self.architecture not in ("", architecture):
            raise UserError(f"{path} holds a {architecture}, and {self.name} is a {self.architecture}")
        network = trained.load(path)
        make_tables(network, path)
        if architecture == "hific":
            return coders.HiFiCCoder(network)
        return coders.HyperpriorCoder(network, means=True)


class _Embedded(Trained):
    licence = "as this suite's, but for its training pictures, which are for research"

    @property
    def place(self) -> Path:
        return FOLDER / f"{self.name}-{self.values['rate']}.safetensors"

    def published(self) -> Path:
        if not self.place.is_file():
            raise UserError(f"this installation lacks {self.place.name}, which should lie in {FOLDER}")
        return self.place


class HyperpriorTiny(_Embedded):
    name = "hyperprior-tiny"
    summary = "a small mean and scale hyperprior, trained for this suite; ships with it"
    parameters = (
        Parameter("rate", 0.2, "bits per pixel, about", choices=(0.1, 0.2, 0.4)),
        WEIGHTS,
    )
    ladder = "rate=0.1,0.2,0.4"
    architecture = "mean-scale-hyperprior"


class HiFiCTiny(_Embedded):
    name = "hific-tiny"
    summary = "a small HiFiC (GDN for ChannelNorm), trained for this suite; ships with it"
    parameters = (
        Parameter("rate", 0.2, "bits per pixel, about", choices=(0.1, 0.2)),
        WEIGHTS,
    )
    ladder = "rate=0.1,0.2"
    architecture = "hific"
