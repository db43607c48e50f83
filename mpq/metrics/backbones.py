"""The classifiers whose features deep similarities compare: torchvision's AlexNet and VGG16, without their classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mpq.weights.sources import cached, from_url, load_strictly, read_tensors, unreachable

if TYPE_CHECKING:
    from torch import nn

Backbone = Literal["alexnet", "vgg16"]

URLS: dict[Backbone, str] = {
    "alexnet": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
}
"""Of the ImageNet weights that LPIPS and DISTS were fitted with; the hash in a name is checked."""


def features(name: Backbone, spec: str) -> nn.Sequential:
    """The convolutional layers, with their published weights, for what ``spec`` names. Raises UserError.

    The file is looked for in torch.hub's cache, then downloaded (244 MB, and 553 MB of VGG16).
    """
    import torch
    from torchvision import models

    path = from_url(URLS[name], spec, nameable=False)
    with torch.device("meta"):  # drawing VGG16's 138 million weights would take seconds
        layers = models.get_model(name, weights=None).features
    layers = layers.to_empty(device="cpu")
    tensors = {
        k.removeprefix("features."): v for k, v in read_tensors(path).items() if k.startswith("features.")
    }
    load_strictly(layers, tensors, path, spec)
    return layers


def unavailable(name: Backbone) -> str | None:
    """Why there are no weights of it here and now, in a sentence that says where to put them."""
    url = URLS[name]
    if unreachable(url.split("/")[2]) is None or cached(url).is_file():
        return None
    return f"it needs the file {url} as {cached(url)}, and the network does not answer"
