"""DNSMOS P.835: what listeners would say of speech, without its original (Reddy et al. 2022, arXiv 2110.01763).

Its network comes inside the wheel of ``speechmos``, whose code needs librosa and is not imported.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from mpq.weights.sources import in_wheel

PACKAGE = "speechmos"
FILE = "dnsmos_models/sig_bak_ovr.onnx"
SHA256 = "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd"

RATE = 16_000
"""Hz."""

WINDOW = 144_160
"""Samples, 9.01 s, that the network takes at once."""

OVERALL = (-0.06766283, 1.11546468, 0.04602535)
"""The polynomial from the network's third output to listeners' scores of overall quality, highest power first."""


def overall(sound: np.ndarray) -> float:
    """The overall quality, about 1 to 5, of (n,) float32 at 16 kHz; what is beyond full scale is clipped.

    The mean over windows that start every second (all of them: the authors' code loses some to rounding). A shorter
    sound is doubled until it fills one, as there.
    """
    sound = np.clip(sound, -1, 1)
    while len(sound) < WINDOW:
        sound = np.concatenate([sound, sound])
    count = int(len(sound) // RATE - WINDOW / RATE) + 1
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::RATE][:count]
    raw = [_network().run(None, {"input_1": window[None]})[0][0, 2] for window in windows]
    return float(np.mean(np.polyval(OVERALL, np.asarray(raw, np.float64))))


@lru_cache(maxsize=1)
def _network() -> Any:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = in_wheel(PACKAGE, FILE, SHA256)
    return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
