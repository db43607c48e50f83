"""HiFiC with published weights: Justin Tan's reimplementation, and MS-ILLM, which is HiFiC with another adversary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mpq.codecs.base import Parameter
from mpq.codecs.learned import WEIGHTS, LearnedCodec
from mpq.weights.sources import cached, from_url

if TYPE_CHECKING:
    from mpq.networks.coders import Coder


PUBLISHED = (60, 220, 320)
"""Channels of the first layer, of y and of z, in all published weights."""


class _PublishedHiFiC(LearnedCodec):
    choice: ClassVar[str]
    """The parameter that names one of ``files``."""
    files: ClassVar[dict[str | float, str]]
    """Value of ``choice`` -> address."""

    @property
    def url(self) -> str:
        return self.files[self.values[self.choice]]

    def published(self) -> Path:
        return from_url(self.url, self.spec)

    def load(self, path: Path) -> Coder:
        from mpq.networks.coders import HiFiCCoder
        from mpq.networks.entropy import make_tables
        from mpq.networks.hific import load_checkpoint

        network = load_checkpoint(path)
        make_tables(network, path)
        return HiFiCCoder(network)

    def prepare(self) -> list[str]:
        notes = super().prepare()
        shape = self.coder.network.shape
        if not self.values["weights"]:
            notes.append(f"{self.spec}: weights under {self.licence}")
        if (shape.base, shape.latent, shape.hyper) != PUBLISHED:
            notes.append(f"{self.spec}: this HiFiC is not of the published size, but {shape}")
        return notes

    @classmethod
    def at_hand(cls) -> list[str | float]:
        return [value for value, url in cls.files.items() if cached(url).is_file()]


class MSILLM(_PublishedHiFiC):
    name = "msillm"
    summary = "HiFiC's networks, MS-ILLM's weights (Muckley et al. 2023)"
    licence = "CC BY-NC 4.0: not for commercial use"
    choice = "rate"
    files: ClassVar[dict[str | float, str]] = {
        rate: "https://dl.fbaipublicfiles.com/NeuralCompression/2023-muckley-msillm/"
        f"msillm_target_{rate}bpp.ckpt"
        for rate in (0.035, 0.07, 0.14, 0.3, 0.45, 0.9)
    }
    parameters = (
        Parameter("rate", 0.14, "bits per pixel it was trained for", choices=tuple(files)),
        WEIGHTS,
    )
    ladder = "rate=0.035,0.07,0.14,0.3,0.45,0.9"


class HiFiC(_PublishedHiFiC):
    name = "hific"
    summary = "HiFiC, Justin Tan's weights; without any published ones, hific-tiny"
    licence = "Apache 2.0"
    choice = "quality"
    files: ClassVar[dict[str | float, str]] = {
        name: f"https://zenodo.org/record/4026003/files/hific_{file}.pt"
        for name, file in (("low", "low"), ("med", "med"), ("high", "hi"))
    }
    parameters = (
        Parameter("quality", "low", "rate: 0.14, 0.30 or 0.45 bpp aimed at", choices=tuple(files)),
        WEIGHTS,
    )
    ladder = "quality=low,med,high"

    @classmethod
    def instead(cls) -> tuple[str, str] | None:
        """Published weights where some are at hand, else the embedded small ones, always under their own name."""
        for other in (cls, MSILLM):
            if there := other.at_hand():
                spec = f"{other.name}:{other.choice}={','.join(map(str, there))}"
                return spec, f"hific: of the published weights, {spec} is at hand"
        return (
            "hific-tiny",
            "hific: no published weights are at hand, so this is hific-tiny, a small HiFiC that ships with this "
            "suite (mpq weights says where the others are)",
        )
