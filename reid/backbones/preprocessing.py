"""From a crop to a network's input: squashed to one size, scaled and normalised, as re-identification does it.

Nothing is cut off: the centre crop that ImageNet classifiers take would remove heads and feet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mpq.errors import UserError
from mpq.registry import suggestion

if TYPE_CHECKING:
    import torch
    from PIL import Image

Channels = Literal["rgb", "bgr"]
Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)
"""Mean and deviation of transformers that were trained on values from −1 to 1."""

OPTIONS: dict[str, str] = {
    "size": "HEIGHTxWIDTH that crops are squashed to",
    "mean": "what is subtracted: one number or R/G/B",
    "std": "what is then divided by: one number or R/G/B",
    "scale": "the value of white before that: 1 or 255",
    "channels": "rgb or bgr: the order in which the network takes them",
    "resize": "the filter: bilinear, bicubic, …",
}
"""Options of a spec, by name, that change a backbone's preprocessing."""

_MOST = 4096  # a side that nobody's crop has; a typing mistake would otherwise fill the memory


@dataclass(frozen=True)
class Preprocessing:
    """A PIL RGB picture -> float32 (3, height, width): values 0 … scale, less ``mean``, divided by ``deviation``.

    size: (height, width). mean, deviation: of red, green, blue, also where channels then go in as blue, green,
    red.
    """

    size: tuple[int, int] = (256, 128)
    mean: Triple = IMAGENET_MEAN
    deviation: Triple = IMAGENET_DEVIATION
    scale: float = 1.0
    channels: Channels = "rgb"
    resize: Filter = "bilinear"

    def __call__(self, image: Image.Image) -> torch.Tensor:
        import torch
        from PIL import Image

        height, width = self.size
        pixels = np.asarray(image.resize((width, height), Image.Resampling[self.resize.upper()]))
        # Rounded as torchvision's ToTensor and Normalize round, so that features equal published programs' to the bit.
        values = pixels.astype(np.float32) / np.float32(255) * np.float32(self.scale)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        if self.channels == "bgr":
            values = values[..., ::-1]
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))

    def __str__(self) -> str:
        height, width = self.size
        mean, deviation = ("/".join(f"{v:.9g}" for v in values) for values in (self.mean, self.deviation))
        return (
            f"{height}×{width} {self.resize}, {self.channels} of 0 to {self.scale:g}, "
            f"less {mean}, divided by {deviation}"
        )

    def changed(self, options: Mapping[str, str], spec: str) -> Preprocessing:
        """This, with what a spec's ``OPTIONS`` say instead. Raises UserError."""
        made = self
        if "size" in options:
            made = replace(made, size=size_of(options["size"], spec))
        if "mean" in options:
            made = replace(made, mean=_triple(options["mean"], "mean", spec))
        if "std" in options:
            made = replace(made, deviation=_triple(options["std"], "std", spec))
            if min(made.deviation) <= 0:
                raise UserError(f"{spec}: std must be positive")
        if "scale" in options:
            (scale,) = _numbers(options["scale"], "scale", spec, counts=(1,))
            if scale <= 0:
                raise UserError(f"{spec}: scale must be positive")
            made = replace(made, scale=scale)
        if "channels" in options:
            made = replace(made, channels=choice(options["channels"], get_args(Channels), "channels", spec))
        if "resize" in options:
            made = replace(made, resize=choice(options["resize"], get_args(Filter), "resize", spec))
        return made


def size_of(text: str, spec: str) -> tuple[int, int]:
    """``256x128`` -> (256, 128), height first. Raises UserError."""
    found = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", text)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(0 < side <= _MOST for side in size):
        raise UserError(
            f"{spec}: size is HEIGHTxWIDTH such as 256x128, of at most {_MOST} each, not '{text}'"
        )
    return size


def choice(text: str, known: tuple[str, ...], option: str, spec: str) -> Any:
    """``text``, which must be one of ``known``. Raises UserError."""
    if text not in known:
        raise UserError(f"{spec}: {option} is not '{text}'{suggestion(text, list(known))}")
    return text


def _triple(text: str, option: str, spec: str) -> Triple:
    values = _numbers(text, option, spec, counts=(1, 3))
    first, second, third = values if len(values) == 3 else values * 3
    return first, second, third


def _numbers(text: str, option: str, spec: str, *, counts: tuple[int, ...]) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split("/"))
    except ValueError:
        values = ()
    if len(values) not in counts or not all(math.isfinite(value) for value in values):
        wanted = "one number, or three such as 0.485/0.456/0.406" if 3 in counts else "one number"
        raise UserError(f"{spec}: {option} is {wanted}, not '{text}'")
    return values
