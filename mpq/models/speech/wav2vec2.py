"""torchaudio's fine-tuned wav2vec 2.0 and HuBERT bundles, decoded greedily (CTC without a language model).

Baevski et al. 2020, arXiv:2006.11477; Hsu et al. 2021, arXiv:2106.07447. Graves et al. 2006 for CTC.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.speech.base import WINDOW, Recogniser, Transcribe, cut_at_pauses, one_by_one
from mpq.registry import suggestion
from mpq.weights.sources import from_url, load_strictly, read_tensors, sha256_of, unreachable

if TYPE_CHECKING:
    import torch

ADDRESS = "https://download.pytorch.org/torchaudio/models/"
"""Of the files that bundles name. Their names hold no hash, so a damaged one is noticed by its shapes alone."""

BLANK, SPACE = 0, "|"


class Torchaudio(ModelSource):
    """``torchaudio:NAME`` as in ``torchaudio.pipelines``; ``--weights FILE`` is the published file or a state dict."""

    name = "torchaudio"
    task = "speech"
    summary = "torchaudio's wav2vec 2.0 and HuBERT: by name with a network or a cache, else --weights"
    variants = "torchaudio:WAV2VEC2_ASR_BASE_960H, torchaudio:HUBERT_ASR_LARGE, …"

    def load(self, variant: str, weights: Path | None) -> Recogniser:
        import torchaudio

        spec = f"{self.name}:{variant}"
        bundle = _bundle(variant)
        path = weights or from_url(ADDRESS + bundle._path, spec)
        rate = int(bundle.sample_rate)
        return Recogniser(
            name=spec,
            open=partial(_open, bundle, path, spec),
            rate=rate,
            language=_language(variant),
            weights_sha256=sha256_of(path),
            preprocessing=f"mono at {rate} Hz; cut at pauses into parts of at most {WINDOW:g} s"
            + ("; normalised to mean 0 and variance 1" if bundle._normalize_waveform else ""),
            version=f"torchaudio {torchaudio.__version__}",
            configuration=f"greedy CTC, one sound at a time; labels {''.join(bundle._labels)}",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("download.pytorch.org")


def _bundle(name: str) -> Any:
    from torchaudio import pipelines

    # Its subclass is for forced alignment.
    known = [n for n, thing in vars(pipelines).items() if type(thing) is pipelines.Wav2Vec2ASRBundle]
    if name not in known:
        raise UserError(f"torchaudio has no recogniser '{name}'{suggestion(name, known)}")
    return getattr(pipelines, name)


def _language(name: str) -> str:
    """VoxPopuli's bundles end in a language; the others are English."""
    end = name.rpartition("_")[2].lower()
    return end if name.startswith("VOXPOPULI") else "en"


def _open(bundle: Any, path: Path, spec: str, device: str) -> Transcribe:
    import torch
    from torchaudio.models import wav2vec2_model

    network = wav2vec2_model(**bundle._params).eval()
    load_strictly(network, _tensors(bundle, path), path, spec)
    network = network.to(torch.device(device))
    labels = bundle.get_labels()

    def part_text(part: np.ndarray) -> str:
        sound = torch.from_numpy(np.ascontiguousarray(part))[None].to(device)
        if bundle._normalize_waveform:
            sound = torch.nn.functional.layer_norm(sound, sound.shape)
        frames = network(sound)[0][0].argmax(-1)
        return greedy_text(frames.tolist(), labels)

    def transcribe(sound: np.ndarray) -> str:
        with torch.inference_mode():
            texts = [part_text(part) for part in cut_at_pauses(sound, int(bundle.sample_rate))]
        return " ".join(filter(None, texts))

    return one_by_one(transcribe)


def _tensors(bundle: Any, path: Path) -> dict[str, torch.Tensor]:
    """The state dict, without the rows of fairseq's control symbols that published files have in the last layer."""
    tensors = read_tensors(path)
    if all(
        name.startswith("model.") for name in tensors
    ):  # saved from a bundle's get_model, which may wrap it
        tensors = {name.removeprefix("model."): value for name, value in tensors.items()}
    for name in ("aux.weight", "aux.bias"):
        value = tensors.get(name)
        if value is not None and len(value) == bundle._params["aux_num_out"] + len(bundle._remove_aux_axis):
            keep = [row for row in range(len(value)) if row not in bundle._remove_aux_axis]
            tensors[name] = value[keep]
    return tensors


def greedy_text(frames: list[int], labels: tuple[str, ...]) -> str:
    """The likeliest label of each frame -> text: repetitions are one, then blanks are none; "|" is between words."""
    letters = (labels[label] for label, _ in groupby(frames) if label != BLANK)
    return " ".join("".join(letters).replace(SPACE, " ").split())
