"""What a re-identification backbone is, and where backbones come from."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mpq.errors import UserError, first_line
from mpq.models.base import CPU_BATCH, Model, frozen
from mpq.paths import user_path
from mpq.registry import Registry, suggestion
from mpq.weights.sources import sha256_of
from reid.backbones.preprocessing import OPTIONS, Preprocessing
from reid.backbones.versions import versions

if TYPE_CHECKING:
    import torch
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Backbone(Model):
    """A network that gives features, with its own preprocessing.

    preprocess: a PIL RGB picture -> float32 (3, h, w). network: (B, 3, h, w) -> (B, D), in eval mode; where
    ``cameras`` is not 0 it also takes (B,) int64 cameras, from 0. cameras: how many cameras the network has been
    trained to tell apart, 0 where it sees pictures alone. device: where it runs. Workers make their own from the spec.
    """

    network: Callable[..., torch.Tensor]
    preprocess: Callable[[Image.Image], torch.Tensor]
    cameras: int = 0
    device: str = "cpu"

    @classmethod
    def of(
        cls,
        name: str,
        network: Callable[..., torch.Tensor],
        preprocess: Preprocessing,
        weights: Path,
        packages: tuple[str, ...],
        configuration: str,
        cameras: int = 0,
    ) -> Backbone:
        """One whose weights were read from a file. packages: whose code the network is."""
        return cls(
            name=name,
            network=network,
            preprocess=preprocess,
            weights_sha256=sha256_of(weights),
            preprocessing=str(preprocess),
            version=versions(*packages),
            configuration=configuration,
            cameras=cameras,
        )

    def on(self, device: str) -> Backbone:
        """This backbone, ready to answer many times on ``device``. What is no torch module stays where it is."""
        import torch

        if not isinstance(self.network, torch.nn.Module):
            return self
        network = self.network.to(torch.device(device)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Folded batch norms are what freezing gains: a transformer has none to fold.
        if device == "cpu" and any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()):
            network = frozen(network, self.preprocess)
        return replace(self, network=network, device=device)

    def features(self, batch: torch.Tensor, cameras: np.ndarray | None = None) -> np.ndarray:
        """(B, 3, h, w) float32 -> (B, D) float32, of whatever length they come out.

        cameras: (B,) each crop's camera, from 1, for networks that know cameras. On a CPU a feature does not
        depend on the others that are asked with it. Raises UserError where such a network is not told cameras
        that it knows.
        """
        import torch

        known = torch.from_numpy(checked_cameras(self, cameras) - 1) if self.cameras else None
        step = CPU_BATCH if self.device == "cpu" else max(1, len(batch))
        passes = []
        with torch.inference_mode():
            for start in range(0, len(batch), step):
                part = [batch[start : start + step]]
                if known is not None:
                    part.append(known[start : start + step])
                count = len(part[0])
                if count < step:  # another size may take another way through the arithmetic
                    part = [torch.cat([p, p[-1:].expand(step - count, *p.shape[1:])]) for p in part]
                part[0] = part[0].contiguous(memory_format=torch.channels_last)
                answers = self.network(*(p.to(self.device) for p in part))
                passes.append(answers[:count].float().cpu().numpy())
        return np.concatenate(passes)


def checked_cameras(backbone: Backbone, cameras: np.ndarray | None) -> np.ndarray:
    """(B,) cameras as int64. Raises UserError unless each is one of those that the backbone knows."""
    if cameras is None:
        raise UserError(
            f"{backbone.name} knows {backbone.cameras} cameras and must be told whose a crop is: "
            f"sie=mean or sie=none makes it do without"
        )
    cameras = np.asarray(cameras, dtype=np.int64)
    strange = cameras[(cameras < 1) | (cameras > backbone.cameras)]
    if len(strange):
        which = "an unknown camera" if strange[0] < 0 else f"camera {strange[0]}"
        raise UserError(
            f"{backbone.name} knows cameras 1 to {backbone.cameras}, not {which}: "
            f"sie=mean or sie=none makes it do without"
        )
    return cameras


class BackboneSource(ABC):
    """A named backbone, or a family of them (``family:variant``).

    variants: how a family's members are spelled; empty for a single one. by_file: the variant is the path of the
    weights, which then reaches ``load`` as ``weights``. options: those that a spec may add, as in
    ``name:key=value`` or ``family:variant,key=value``, with what they mean.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    variants: ClassVar[str] = ""
    by_file: ClassVar[bool] = False
    options: ClassVar[Mapping[str, str]] = OPTIONS

    @abstractmethod
    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        """Raises UserError: an unknown variant or value, weights that cannot be had or do not fit."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Why it cannot run here and now; None where it can."""
        return None


registry: Registry[BackboneSource] = Registry(
    "backbone", "reid.backbones", "reid.backbones.base:BackboneSource"
)


def load_backbone(spec: str, weights: Path | None = None) -> Backbone:
    """``name``, ``family:variant``, either with options, with the user's weights where given.

    It has answered once when it is returned. Raises UserError.
    """
    name, _, rest = spec.partition(":")
    source = registry.get(name)()
    variant, options = _split(rest, source, spec)
    if source.variants and not variant and not (source.by_file and weights):
        raise UserError(f"'{spec}' needs a name behind it: {source.variants}")
    if source.by_file and weights is None:
        weights = user_path(variant)
    if weights is not None and not weights.exists():
        raise UserError(f"there is no file '{weights}' that {name} could be loaded from")
    backbone = source.load(variant, weights, options)
    _try(backbone, spec)
    return backbone


def _split(rest: str, source: BackboneSource, spec: str) -> tuple[str, dict[str, str]]:
    """``variant,key=value,key=value`` -> the variant and the options. A path may hold commas and ``=``, too."""
    parts = re.split(r",(?=[a-z_]+=)", rest) if rest else []
    variant = ""
    if parts and parts[0].partition("=")[0] not in source.options:
        if not source.variants and "=" not in parts[0]:
            raise UserError(f"{source.name} is one backbone and takes no ':{parts[0]}'")
        if source.variants:
            variant = parts.pop(0)
    options: dict[str, str] = {}
    for part in parts:
        key, _, value = part.partition("=")
        if key not in source.options:
            raise UserError(f"{source.name} has no option '{key}'{suggestion(key, list(source.options))}")
        if key in options or not value:
            raise UserError(f"'{spec}': {key} is given {'twice' if key in options else 'no value'}")
        options[key] = value
    return variant, options


def _try(backbone: Backbone, spec: str) -> None:
    """Asks it once: what a network cannot take, or does not answer as it should, is then known before the work."""
    from PIL import Image

    try:
        picture = backbone.preprocess(Image.linear_gradient("L").convert("RGB"))
        twice = picture.expand(2, *picture.shape)
        answer = backbone.features(twice, np.ones(2, np.int64) if backbone.cameras else None)
    except UserError:
        raise
    except Exception as error:  # whatever a network says of a picture that it was not made for
        raise UserError(f"'{spec}' does not run on {backbone.preprocessing}: {first_line(error)}") from error
    if answer.ndim != 2 or len(answer) != 2:
        raise UserError(f"'{spec}' gives {answer.shape} for two pictures, which are no features (2, D)")
    if not np.isfinite(answer).all():
        raise UserError(f"'{spec}' gives a feature that is not finite")
    if np.abs(answer[0] - answer[1]).max() > 1e-4 * np.abs(answer).max():
        raise UserError(f"'{spec}' gives two features for one picture: something in it is drawn at random")
