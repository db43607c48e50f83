"""Demucs v3 and v4 (Rouard, Massa and Défossez 2023) of the package ``demucs``, which is optional.

Its networks are used; its chunks and its random shifts are not, nor is its way of reading weights: its older ``.th``
files are pickles, and of a safetensors file it calls whatever class the file names.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpq.errors import UserError, first_line
from mpq.models.base import ModelSource
from mpq.models.separation.base import CHUNK, Separator, in_words
from mpq.registry import suggestion
from mpq.weights.sources import from_hub, load_strictly, locate, read_tensors, sha256_of, unreachable

if TYPE_CHECKING:
    import torch

CLASSES = {"HTDemucs": "demucs.htdemucs", "HDemucs": "demucs.hdemucs", "Demucs": "demucs.demucs"}
"""The networks that a file of weights may name, and their modules."""

NEEDED = "the package 'demucs' from 4.1 on: pip install 'demucs>=4.1'"


class Demucs(ModelSource):
    """``demucs:NAME``, NAME as in the package: one network, or several whose answers are averaged.

    Weights: ``SIGNATURE.safetensors`` of huggingface.co/adefossez; ``--weights`` takes the file, or for several a
    folder with them.
    """

    name = "demucs"
    task = "separation"
    summary = (
        "Demucs v3 and v4 of the package demucs, where it is installed: with a network, a cache or --weights"
    )
    variants = "demucs:htdemucs, demucs:htdemucs_ft, demucs:hdemucs_mmi, demucs:mdx, demucs:mdx_extra, …"

    def load(self, variant: str, weights: Path | None) -> Separator:
        spec = f"{self.name}:{variant}"
        signatures, shares = _recipe(variant, spec)
        files = _files(variant, signatures, weights, spec)
        networks = [_network(file, spec) for file in files]
        first = networks[0]
        form = (list(first.sources), first.samplerate, first.audio_channels)
        for network, file in zip(networks, files, strict=True):
            if (list(network.sources), network.samplerate, network.audio_channels) != form:
                raise UserError(f"{file} and {files[0]} separate into other stems, or at other rates")
        stems, rate, channels = form
        if shares is not None and [len(row) for row in shares] != [len(stems)] * len(networks):
            raise UserError(f"{files[0]} separates into {len(stems)} stems, not into those of {spec}")
        digests = [sha256_of(file) for file in files]
        chunk = min(int(min(CHUNK, n.segment) * rate) for n in networks)
        return Separator(
            name=spec,
            network=_averaged(networks, shares or [[1.0] * len(stems)] * len(networks)),
            stems=tuple(stems),
            rate=rate,
            channels=channels,
            chunk=chunk,
            shortest=max(getattr(n, "nfft", 1) for n in networks),
            weights_sha256=digests[0]
            if len(digests) == 1
            else hashlib.sha256("".join(digests).encode()).hexdigest(),
            preprocessing=f"{in_words(channels, rate, chunk)}, no random shifts",
            version=f"demucs {version('demucs')}",
            configuration=json.dumps([signatures, shares]),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co") if locate("demucs", "hf.py") else f"it needs {NEEDED}"


def _recipe(variant: str, spec: str) -> tuple[list[str], list[list[float]] | None]:
    """The signatures of the networks that a name stands for, and each one's share of each stem (None: equal ones)."""
    import yaml

    package = locate("demucs", "hf.py")
    if package is None:
        raise UserError(f"{spec} needs {NEEDED}")
    recipes = {path.stem: path for path in (package.parent / "remote").glob("*.yaml")}
    if variant not in recipes:
        raise UserError(f"demucs has no model '{variant}'{suggestion(variant, list(recipes))}")
    recipe = yaml.safe_load(recipes[variant].read_text())
    return recipe["models"], recipe.get("weights")


def _files(variant: str, signatures: list[str], weights: Path | None, spec: str) -> list[Path]:
    names = [f"{signature}.safetensors" for signature in signatures]
    if weights is None:
        from demucs.hf import DEFAULT_NAMESPACE, hf_repo_name

        return [from_hub(f"{DEFAULT_NAMESPACE}/{hf_repo_name(variant)}", name, spec) for name in names]
    if weights.is_dir():
        for name in names:
            if not (weights / name).is_file():
                raise UserError(f"{weights} lacks {name}, which {spec} needs")
        return [weights / name for name in names]
    if len(names) > 1:
        raise UserError(f"{spec} is {len(names)} networks: --weights takes a folder with {', '.join(names)}")
    return [weights]


def _network(path: Path, spec: str) -> Any:
    """One network from a safetensors file whose metadata tell its class and that class' arguments."""
    from importlib import import_module

    from safetensors import safe_open

    if path.suffix != ".safetensors":
        raise UserError(
            f"{path} is no safetensors file, the only kind of Demucs' weights that cannot run code"
        )
    try:
        with safe_open(str(path), "pt") as file:
            told = file.metadata() or {}
    except Exception as error:  # the system's, or safetensors' own
        raise UserError(
            f"{path} is no file of tensors that can be read safely: {first_line(error)}"
        ) from None
    if "structure" in told:
        raise UserError(f"{path} holds weights that diffq has quantised; take the model without '_q'")
    module, _, kind = told.get("klass", "").rpartition(".")
    if CLASSES.get(kind) != module:
        raise UserError(f"{path} is no file of Demucs' weights: it names the network '{told.get('klass')}'")
    network = getattr(import_module(module), kind)
    try:
        options = _decoded(json.loads(told["kwargs"]))
        known = inspect.signature(network).parameters
        built = network(
            *_decoded(json.loads(told["args"])), **{k: v for k, v in options.items() if k in known}
        )
    except Exception as error:  # whatever arguments of a wrong kind provoke in it
        raise UserError(f"{path} tells no {kind} that can be built: {first_line(error)}") from None
    load_strictly(built, read_tensors(path), path, spec)
    return built.eval()


def _decoded(value: Any) -> Any:
    """JSON in which fractions are {"_type": "fraction", …}."""
    if isinstance(value, dict):
        if value.get("_type") == "fraction":
            return Fraction(value["numerator"], value["denominator"])
        return {key: _decoded(item) for key, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _averaged(networks: Sequence[torch.nn.Module], shares: list[list[float]]) -> torch.nn.Module:
    """shares: (networks, stems); a stem is the mean of the networks' answers, so weighted."""
    import torch

    class Averaged(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.networks = torch.nn.ModuleList(networks)
            weights = torch.tensor(shares)
            self.weights: torch.Tensor
            self.register_buffer("weights", weights / weights.sum(0))

        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            total: Any = 0
            for network, weights in zip(self.networks, self.weights.unbind(), strict=True):
                total = total + network(mixture) * weights[:, None, None]
            return total

    return Averaged().eval()
