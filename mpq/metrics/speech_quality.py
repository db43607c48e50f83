"""How well speech is understood and liked, as models of listeners have it: STOI, PESQ, ViSQOL, DNSMOS and CDPAM.

All take an original and what was decoded from it: AudioSamples of one rate and length, aligned. Each is resampled
to the rate that its measure is defined at, and measured channel by channel, in equal parts where it is long; the mean
is over the parts that are not silent in the original. None stands for sounds that are silent or too short.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from mpq.audio import AudioSample
from mpq.metrics.audio import over_parts
from mpq.metrics.base import Similarity

STOI_PART, PESQ_PART, VISQOL_PART = 120, 18, 60
"""In seconds. Memory grows with the length of the first and the last; PESQ's C code writes past the end of its table of
50 utterances, which take 19.2 s at the least."""

VISQOL_SECONDS = {"audio": 0.96, "speech": 0.64}
"""The shortest sounds of which ViSQOL takes a patch."""


def stoi(original: AudioSample, decoded: AudioSample, extended: bool = False) -> float | None:
    """Short-time objective intelligibility (Taal et al. 2011), or ESTOI (Jensen and Taal 2016): 1 for equal sounds.

    Correlation of 384 ms of envelopes in third-octave bands from 150 Hz to 4.3 kHz, over frames that are within 40 dB of
    the original's loudest. About 0 for sounds that have nothing in common. None where fewer than 30 such frames are.
    """
    from pystoi import stoi as _stoi

    def measure(x: np.ndarray, y: np.ndarray) -> float | None:
        if len(x) <= 256:  # not one frame
            return None
        # ESTOI adds noise of 1e-16, which decides in bands where a decode is digitally silent.
        state = np.random.get_state()
        np.random.seed(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                return float(_stoi(x.astype(np.float64), y.astype(np.float64), 10_000, extended))
        except RuntimeWarning:  # too few frames are left, for which it would return 1e-5
            return None
        finally:
            np.random.set_state(state)

    return over_parts(measure, original, decoded, 10_000, STOI_PART)


def pesq(original: AudioSample, decoded: AudioSample, band: Literal["wb", "nb"] = "wb") -> float | None:
    """PESQ's MOS-LQO: wide band at 16 kHz (ITU-T P.862.2, 1.04 to 4.64) or narrow band at 8 kHz (P.862.1, to 4.55).

    By the ITU's own C code of 2005, without P.862.2's Corrigendum 2. None below ¼ s, where no utterance is found, and
    where the decode of a part is silent; wide band also for sounds below 16 kHz, which hold no wide band.
    """
    from pesq import PesqError
    from pesq import pesq as _pesq

    rate = {"wb": 16_000, "nb": 8_000}[band]
    if band == "wb" and original.rate < rate:
        return None

    def measure(x: np.ndarray, y: np.ndarray) -> float | None:
        score = float(_pesq(rate, x, y if y.any() else x, band, on_error=PesqError.RETURN_VALUES))
        if score < 0:  # its error codes
            return None
        return score if y.any() else math.nan

    return over_parts(measure, original, decoded, rate, PESQ_PART)


def visqol(
    original: AudioSample, decoded: AudioSample, mode: Literal["audio", "speech"] = "audio"
) -> float | None:
    """ViSQOL v3's MOS-LQO (Chinen et al. 2020), of the mean of all channels as it is defined.

    "audio" at 48 kHz with its support vector regression, to 4.73; "speech" at 16 kHz with its exponential mapping, to 5
    (the lattice network, which newer versions use, needs TensorFlow Lite). None also where the decode of a part is silent.
    """
    rate = {"audio": 48_000, "speech": 16_000}[mode]

    def measure(x: np.ndarray, y: np.ndarray) -> float | None:
        if len(x) < VISQOL_SECONDS[mode] * rate:
            return None
        if not y.any():
            return math.nan
        both = x.astype(np.float64), y.astype(np.float64)
        return float(_visqol(mode).measure_from_arrays(*both, rate).moslqo)

    return over_parts(measure, _mixed(original), _mixed(decoded), rate, VISQOL_PART)


def _mixed(sample: AudioSample) -> AudioSample:
    return AudioSample(sample.samples.mean(axis=0, keepdims=True), sample.rate)


@lru_cache(maxsize=2)
def _visqol(mode: str) -> Any:
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode=mode, use_lattice_model=False)
    return api


def dnsmos(original: AudioSample, decoded: AudioSample) -> float | None:
    """DNSMOS P.835's overall quality of the decoded sound alone, about 1 to 5. None below 1 s."""
    from mpq.metrics.dnsmos import RATE, overall

    if original.seconds < 1:
        return None
    return over_parts(lambda _, y: overall(y), original, decoded, RATE)


def cdpam(original: AudioSample, decoded: AudioSample) -> float | None:
    """CDPAM (Manocha et al. 2021): a learned distance, 0 for equal sounds, at 22.05 kHz and 16-bit scale.

    Papers that gave it sounds of full scale ±1, or of another rate, report something else under its name.
    """
    from mpq.metrics.cdpam import FIELD, RATE, cdpam_network

    def measure(x: np.ndarray, y: np.ndarray) -> float | None:
        return cdpam_network().between(x, y) if len(x) >= FIELD else None

    return over_parts(measure, original, decoded, RATE)


def _lacking(package: str, extra: str) -> Callable[[], str | None]:
    def unavailable() -> str | None:
        if find_spec(package) is not None:
            return None
        return f"it needs {package} (pip install 'machine-perceptual-quality[{extra}]')"

    return unavailable


MEASURES = (
    Similarity(
        "stoi",
        "stoi",
        stoi,
        "0–1",
        "how well people understand speech in noise, below 4.3 kHz; not how it sounds, nor what a recogniser makes of it",
        "STOI",
        packages=("pystoi", "scipy"),
    ),
    Similarity(
        "estoi",
        "estoi",
        lambda original, decoded: stoi(original, decoded, extended=True),
        "0–1",
        "the same for noise that comes and goes; a lower scale than STOI's",
        "ESTOI",
        rank=8,
        packages=("pystoi", "scipy"),
    ),
    Similarity(
        "pesq",
        "pesq",
        pesq,
        "MOS 1–4.64",
        "telephone listeners' opinion, wide band; made for speech codecs of 2001, not for music or neural codecs; "
        "the ITU's code in it is not free for commercial use",
        "PESQ",
        "{:.2f}",
        packages=("pesq", "scipy"),
        unavailable=_lacking("pesq", "pesq"),
    ),
    Similarity(
        "pesq-nb",
        "pesq_nb",
        lambda original, decoded: pesq(original, decoded, "nb"),
        "MOS 1–4.55",
        "the same at 8 kHz: deaf to all above 4 kHz, and another scale than the wide band's",
        "PESQ-NB",
        "{:.2f}",
        rank=8,
        packages=("pesq", "scipy"),
        unavailable=_lacking("pesq", "pesq"),
    ),
    Similarity(
        "visqol",
        "visqol",
        visqol,
        "MOS 1–4.73",
        "opinion of music at 48 kHz, not of speech (see visqol-speech); a second and more a second of sound without numba",
        "ViSQOL",
        "{:.2f}",
        packages=("visqol-python", "scipy"),
        unavailable=_lacking("visqol", "visqol"),
    ),
    Similarity(
        "visqol-speech",
        "visqol_speech",
        lambda original, decoded: visqol(original, decoded, "speech"),
        "MOS 1–5",
        "opinion of speech at 16 kHz, exponential mapping; generous, and not on the scale of its lattice network",
        "ViSQOL speech",
        "{:.2f}",
        rank=8,
        packages=("visqol-python", "scipy"),
        unavailable=_lacking("visqol", "visqol"),
    ),
    Similarity(
        "dnsmos",
        "dnsmos",
        dnsmos,
        "MOS 1–5",
        "opinion of the decoded speech alone: never sees the original, so wrong words said clearly score well",
        "DNSMOS",
        "{:.2f}",
        packages=("onnxruntime", "scipy"),
        unavailable=_lacking("speechmos", "dnsmos"),
    ),
    Similarity(
        "cdpam",
        "cdpam",
        cdpam,
        "0 and up",
        "learned distance of speech that people just notice: hears its sound, not its words; seconds a second of sound",
        "CDPAM",
        "{:.4f}",
        better="lower",
        packages=("scipy",),
        unavailable=_lacking("cdpam", "cdpam"),
    ),
)
