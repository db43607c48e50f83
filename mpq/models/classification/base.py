"""What a classifier is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpq.models.base import CPU_BATCH, Model, frozen

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from mpq.models.classification.labels import LabelSpace


@dataclass(frozen=True, kw_only=True)
class Classifier(Model):
    """A network with its own preprocessing.

    preprocess: a PIL RGB picture -> float32 (3, h, w). network: (B, 3, h, w) -> (B, classes) logits, in eval
    mode.
    """

    network: Callable[[torch.Tensor], torch.Tensor]
    preprocess: Callable[[Image.Image], torch.Tensor]
    labels: LabelSpace

    def on(self, device: str) -> Classifier:
        """This classifier, ready to answer many times on ``device``, with the features that its answers are made of."""
        import torch

        assert isinstance(self.network, torch.nn.Module)
        network = self.network.to(torch.device(device)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network = with_features(network, self.preprocess)
        return replace(self, network=frozen(network, self.preprocess) if device == "cpu" else network)

    def without_network(self) -> Classifier:
        import torch

        return replace(self, network=torch.nn.Identity())

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) float32 -> (B, classes) float32, on the CPU, in passes that suit the device."""
        return self.answers(batch)[0]

    def answers(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``logits``, and (B, D) float32: what the last layer was given; D is 0 where that is not known."""
        import torch

        # A frozen network has no parameters left; it is on the CPU.
        assert isinstance(self.network, torch.nn.Module)
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        step = CPU_BATCH if device.type == "cpu" else len(batch)
        with torch.inference_mode():
            passes = [
                self.network(part.to(device, memory_format=torch.channels_last)).float().cpu()
                for part in batch.split(step)
            ]
        both = torch.cat(passes)
        classes = len(self.labels.names)
        return both[:, :classes], both[:, classes:]


def with_features(
    network: torch.nn.Module, preprocess: Callable[[Image.Image], torch.Tensor]
) -> torch.nn.Module:
    """``network``, with what its last linear layer is given behind its logits: (B, classes + D).

    That layer is found by asking once: its output is the logits. Where there is none, the network itself is returned.
    """
    import torch
    from PIL import Image

    linear = [m for m in network.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))]
    given: dict[int, torch.Tensor] = {}
    made: dict[int, torch.Tensor] = {}

    def keep(index: int) -> Callable[..., None]:
        def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            given[index], made[index] = inputs[0].flatten(1), output.flatten(1)

        return hook

    hooks = [module.register_forward_hook(keep(index)) for index, module in enumerate(linear)]
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    try:
        with torch.inference_mode():
            logits = network(preprocess(Image.effect_noise((64, 64), 64).convert("RGB"))[None].to(device))
    finally:
        for hook in hooks:
            hook.remove()
    last = [i for i, output in made.items() if output.shape == logits.shape and torch.equal(output, logits)]
    if not last:
        return network
    given.clear()
    made.clear()
    linear[last[-1]].register_forward_hook(keep(0))

    class WithFeatures(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = self.network(x)
            return torch.cat([logits, given.pop(0)], dim=1)

    return WithFeatures().eval()
