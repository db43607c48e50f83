"""What a model is, whatever its task, and where models come from."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from mpq.errors import UserError
from mpq.registry import models as registry

if TYPE_CHECKING:
    import torch
    from PIL import Image

CPU_BATCH = 2
"""Pictures a forward pass on a CPU: more would push the activations out of the second-level cache."""

Self = TypeVar("Self", bound="Model")


@dataclass(frozen=True, kw_only=True)
class Model:
    """What answers.

    name: its spec. weights_sha256: of the file that the weights were read from. preprocessing: in words; part of a
    cell's identity. version: of the libraries whose code the network and preprocessing are. configuration: what
    else shapes the answers, where name and weights do not tell.
    """

    name: str
    weights_sha256: str
    preprocessing: str
    version: str
    configuration: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """All that shapes its answers, for a cell's hash."""
        return {
            "name": self.name,
            "weights": self.weights_sha256,
            "preprocessing": self.preprocessing,
            "version": self.version,
            "configuration": self.configuration,
        }

    def on(self: Self, device: str) -> Self:
        """This model, ready to answer many times on ``device``. May raise UserError."""
        return self

    def without_network(self: Self) -> Self:
        """This model's preprocessing alone, for workers beside a GPU."""
        return self


def frozen(network: torch.nn.Module, preprocess: Callable[[Image.Image], torch.Tensor]) -> torch.nn.Module:
    """``network`` with its batch norms folded into its convolutions: a quarter to a third faster on a CPU.

    It is traced, so it must do the same for every input: where the preprocessing does not give one size, or
    the trace does not answer as the network does, the network itself is returned.
    """
    import torch
    from PIL import Image

    examples = [
        preprocess(Image.effect_noise(size, 64).convert("RGB"))[None] for size in ((320, 240), (200, 300))
    ]
    if examples[0].shape != examples[1].shape:
        return network
    first, second = (e.contiguous(memory_format=torch.channels_last) for e in examples)
    second = torch.cat(
        [second, first, second]
    )  # a batch's size is part of what a trace may have taken as given
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.freeze(torch.jit.trace(network, first))
            expected = network(second)
            error = (traced(second) - expected).abs().max()
    except Exception:  # whatever a network does that a trace cannot follow, it still runs as it is
        return network
    return traced if error <= 1e-3 * expected.abs().max() else network  # a NaN is not ≤


class ModelSource(ABC):
    """A named model, or a family of them (``family:variant``).

    task: whose questions they answer. variants: how a family's members are spelled; empty for a single model.
    """

    name: ClassVar[str]
    task: ClassVar[str] = "classification"
    summary: ClassVar[str]
    variants: ClassVar[str] = ""

    @abstractmethod
    def load(self, variant: str, weights: Path | None) -> Any:
        """A ``Model``. Raises UserError: an unknown variant, weights that cannot be had or do not fit."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Why it cannot run here and now; None where it can."""
        return None


def load_model(task: str, spec: str, weights: Path | None = None) -> Any:
    """``name`` or ``family:variant`` of a task's, with the user's weights where given. Raises UserError."""
    name, _, variant = spec.partition(":")
    source = registry(task).get(name)()
    if source.variants and not variant:
        raise UserError(f"'{spec}' needs a name behind it: {source.variants}")
    if variant and not source.variants:
        raise UserError(f"{name} is one model and takes no ':{variant}'")
    if weights is not None and not weights.exists():
        raise UserError(f"the weights '{weights}' for {spec} do not exist")
    return source.load(variant, weights)
