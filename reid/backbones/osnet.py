"""OSNet's published checkpoints, by path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mpq.errors import UserError
from mpq.weights.sources import load_strictly, read_tensors
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.checkpoints import without
from reid.backbones.preprocessing import Preprocessing

if TYPE_CHECKING:
    from reid.backbones.checkpoints import Tensors
    from reid.networks.osnet import Variant


class OSNet(BackboneSource):
    """torchreid's ``osnet_x1_0``, ``x0_75``, ``x0_5``, ``x0_25``, ``osnet_ibn`` and ``osnet_ain``, told apart by their
    layers. The feature is what comes before the classifier (512), at 256×128 with ImageNet's normalisation."""

    name = "osnet"
    summary = "a checkpoint of torchreid's OSNet, OSNet-IBN or OSNet-AIN, strictly loaded"
    variants = "osnet:FILE"
    by_file = True

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        from reid.networks import osnet

        assert weights is not None
        spec = f"{self.name}:{weights.name}"
        tensors = without(_read(weights), r"classifier\.(weight|bias)")
        first, last = tensors.get("conv1.conv.weight"), tensors.get("fc.0.weight")
        if first is None or last is None or (first.ndim, last.ndim) != (4, 2) or not 16 <= len(first) <= 256:
            raise UserError(f"{weights} is no checkpoint of OSNet: it has no first and last layer of one")
        kind: Variant = "ain" if "pool2.0.conv.weight" in tensors else "plain"
        if kind == "plain" and "conv2.0.IN.weight" in tensors:
            kind = "ibn"
        network = osnet.OSNet(len(first), len(last), kind).eval()
        load_strictly(network, tensors, weights, spec)
        preprocess = Preprocessing().changed(options, spec)
        return Backbone.of(spec, network, preprocess, weights, ("torch",), f"{kind}, width {len(first)}")


class _Ignored:
    """Stands in for numpy's numbers and their types while a file is read: nothing of numpy then runs."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _read(path: Path) -> Tensors:
    """``read_tensors``, but torchreid's own files are read as well, which also hold a numpy number, their Rank-1."""
    import torch

    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
    with torch.serialization.safe_globals([(_Ignored, name) for name in names]):
        return read_tensors(path)
