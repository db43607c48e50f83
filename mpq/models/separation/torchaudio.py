"""Hybrid Demucs (Défossez 2021) as torchaudio publishes it."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from mpq.errors import UserError, first_line
from mpq.models.base import ModelSource
from mpq.models.separation.base import CHUNK, Separator, in_words
from mpq.weights.sources import from_url, load_strictly, read_tensors, sha256_of, unreachable

HOST = "download.pytorch.org"


class HDemucs(ModelSource):
    """83.6 million parameters. torchaudio publishes no hash of its weights: a row's sha256 says which they were."""

    name = "hdemucs"
    task = "separation"
    summary = (
        "Hybrid Demucs: drums, bass, other and vocals, trained on MUSDB18-HQ's training tracks "
        "(334 MB, with a network, a cache or --weights)"
    )
    bundle: ClassVar[str] = "HDEMUCS_HIGH_MUSDB"

    def load(self, variant: str, weights: Path | None) -> Separator:
        bundle = getattr(_pipelines(self.name), self.bundle)
        path = weights or _published(bundle._model_path, self.name)
        network = bundle._model_factory_func().eval()
        load_strictly(network, read_tensors(path), path, self.name)
        rate = bundle.sample_rate
        chunk = round(CHUNK * rate)
        return Separator(
            name=self.name,
            network=network,
            stems=tuple(network.sources),
            rate=rate,
            channels=network.audio_channels,
            chunk=chunk,
            shortest=network.nfft,  # of less its spectrogram has another number of frames than it counts on
            weights_sha256=sha256_of(path),
            preprocessing=in_words(network.audio_channels, rate, chunk),
            version=f"torchaudio {version('torchaudio')}",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        if find_spec("torchaudio") is None:
            return "the package 'torchaudio' is not installed"
        return unreachable(HOST)


class HDemucsPlus(HDemucs):
    """The same network with 150 more songs; it has heard MUSDB18's test tracks, so their scores flatter it."""

    name = "hdemucs-plus"
    summary = "Hybrid Demucs trained on 150 more songs, and on MUSDB18-HQ's test tracks as well: not for scores on MUSDB18"
    bundle = "HDEMUCS_HIGH_MUSDB_PLUS"


def _pipelines(spec: str) -> Any:
    try:
        from torchaudio import pipelines
    except Exception as error:  # missing, or built for another torch
        installed = "" if find_spec("torchaudio") is None else f" {version('torchaudio')}"
        raise UserError(f"{spec} needs torchaudio{installed}, which fails: {first_line(error)}") from None
    return pipelines


def _published(asset: str, spec: str) -> Path:
    """The file ``asset`` ("models/NAME.pt"), from where torchaudio itself keeps it, the usual cache or the network."""
    import torch

    own = Path(torch.hub.get_dir()) / "torchaudio" / asset
    return own if own.is_file() else from_url(f"https://{HOST}/torchaudio/{asset}", spec)
