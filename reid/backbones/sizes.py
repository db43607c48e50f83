"""At what size a network takes crops: that of re-identification where it can, its own where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mpq.errors import UserError, first_line

if TYPE_CHECKING:
    import torch

CROP = (256, 128)
"""(height, width) that re-identification gives its crops."""


def whole_patches(patch: int) -> tuple[int, int]:
    """``CROP``, or the next smaller size that patches of ``patch`` pixels cover without a rest: 252×126 for 14."""
    height, width = (side // patch * patch for side in CROP)
    return (height, width) if width else CROP


def fitted(
    make: Callable[[tuple[int, int]], torch.nn.Module], sizes: Sequence[tuple[int, int]], spec: str
) -> tuple[torch.nn.Module, tuple[int, int]]:
    """What ``make`` makes for the first of ``sizes`` (height, width) at which it then answers, and that size.

    Raises UserError where there is none: ``make``'s own for the last, or with what was said of the first.
    """
    import torch

    errors = []
    for size in sizes:
        try:
            network = make(size)
            with torch.inference_mode():
                network(torch.zeros(1, 3, *size))
        except Exception as error:  # each library and network says it in its own way
            errors.append(error)
        else:
            return network, size
    if isinstance(errors[-1], UserError):
        raise errors[-1]
    height, width = sizes[0]
    raise UserError(f"{spec} takes no crops of {height}x{width}: {first_line(errors[0])}")
