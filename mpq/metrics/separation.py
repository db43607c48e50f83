"""How well a mixture was taken apart: the SDR of museval's BSSEval v4 (Stöter, Liutkus and Ito 2018)."""

from __future__ import annotations

import warnings

import numpy as np

WINDOW = 1.0
"""Seconds of a frame, and from one to the next."""


def framewise_sdr(references: np.ndarray, estimates: np.ndarray, rate: int) -> np.ndarray:
    """10 · log10(Σ s² / Σ (s − ŝ)²) over all channels of each whole second, in dB.

    references, estimates: (stems, channels, n) of one shape -> (stems, frames) float64; (channels, n), one stem ->
    (frames,). A sound shorter than a second is one frame, and what is left behind the last whole second is not
    looked at. ∞ where an estimate is exact.

    A frame in which any stem's reference or estimate is silent is NaN *for all stems*, so which stems are given
    together matters; silent is where its channels cancel at every sample. This is
    ``museval.metrics.bss_eval(…, window=rate, hop=rate)``: its distortion filters shape ISR, SIR and SAR, but cancel
    in SDR. It is not the SDR of BSSEval v2 and v3, which forgives any filter of 512 taps. Raises ValueError for
    unequal shapes.
    """
    if references.shape != estimates.shape:
        raise ValueError(f"the references are {references.shape}, the estimates {estimates.shape}")
    if references.ndim == 2:
        return framewise_sdr(references[None], estimates[None], rate)[0]
    stems, _, length = references.shape
    window = min(length, int(WINDOW * rate))
    frames = np.full((stems, length // window), np.nan)
    for t in range(frames.shape[1]):  # a second at a time: in double precision all would be twice as large
        span = slice(t * window, (t + 1) * window)
        s, e = (sounds[..., span].astype(np.float64) for sounds in (references, estimates))
        if (s.sum(1) != 0).any(-1).all() and (e.sum(1) != 0).any(-1).all():
            signal, distortion = (np.square(x).sum((1, 2)) for x in (s, s - e))
            with np.errstate(divide="ignore"):
                frames[:, t] = 10 * np.log10(signal / distortion)
    return frames


def sdr(references: np.ndarray, estimates: np.ndarray, rate: int) -> np.ndarray:
    """The median over frames of ``framewise_sdr``, in dB: (stems,) float64, or one number for (channels, n).

    NaN frames are left out; NaN where there is no other. An infinite frame counts (museval's own tables leave it out,
    and would have nothing to say of a perfect separation).
    """
    frames = framewise_sdr(references, estimates, rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but NaN: that is what NaN says
        return np.nanmedian(frames, axis=-1)
