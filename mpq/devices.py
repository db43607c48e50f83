"""Where networks run: the CPU, a CUDA GPU or Apple's."""

from __future__ import annotations

from mpq.errors import UserError


def device(wanted: str) -> str:
    """``wanted``, or for "auto" the fastest that is here. Raises UserError where there is no such device."""
    import torch

    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if wanted == "auto":
        return next((name for name in ("cuda", "mps") if there[name]), "cpu")
    if wanted not in there:
        raise UserError(f"--device is auto, {', '.join(there)}, not '{wanted}'")
    if not there[wanted]:
        raise UserError(f"there is no {wanted} device here")
    return wanted
