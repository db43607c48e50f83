"""Weights that this suite trained: a safetensors file that says by itself which network it fits.

Training writes it in half precision. The header's metadata are ``architecture``,
``configuration`` (JSON) and ``card`` (JSON: what is known about the training).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from compressai.models import MeanScaleHyperprior
from torch import nn

from mpq.errors import UserError, first_line
from mpq.networks.entropy import TABLES
from mpq.networks.hific import HiFiC, Shape
from mpq.weights.sources import load_strictly

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "mean-scale-hyperprior": {"N": 64, "M": 96},
    "hific": {"base": 16, "latent": 96, "hyper": 64, "blocks": 2, "normalisation": "gdn"},
}
"""Name -> the sizes that training takes unless told: small ones, that a CPU can train and run."""


def build(architecture: str, configuration: dict[str, Any]) -> Any:
    """A network with fresh weights. Raises UserError for an unknown architecture or strange sizes."""
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"unknown architecture '{architecture}'; there are: {', '.join(sorted(ARCHITECTURES))}"
        )
    try:
        if architecture == "hific":
            return HiFiC(Shape(**configuration))
        return MeanScaleHyperprior(**configuration)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{architecture} cannot be built with {configuration}: {first_line(error)}") from None


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v for k, v in network.state_dict().items() if k.rsplit(".", 1)[-1] not in TABLES}


def save(
    path: Path,
    network: nn.Module,
    architecture: str,
    configuration: dict[str, Any],
    card: dict[str, Any],
    *,
    half: bool = True,
) -> None:
    """Writes beside ``path`` and renames into place. half: in half precision. Raises UserError."""
    from safetensors.torch import save_file

    tensors = {
        key: (value.half() if half and value.is_floating_point() else value).contiguous()
        for key, value in weights_of(network).items()
    }
    metadata = {
        "architecture": architecture,
        "configuration": json.dumps(configuration, sort_keys=True),
        "card": json.dumps(card, sort_keys=True),
    }
    beside = path.with_name(path.name + ".writing")
    try:
        save_file(tensors, beside, metadata)
        beside.replace(path)
    except Exception as error:  # safetensors hides the system's errors in its own
        raise UserError(f"'{path}' cannot be written: {first_line(error)}") from None


def read_header(path: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """architecture, configuration, card. Raises UserError where the file is not one of ours."""
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return (
            metadata["architecture"],
            json.loads(metadata["configuration"]),
            json.loads(metadata.get("card", "{}")),
        )
    except Exception as error:  # safetensors' own, a missing key, or JSON's
        reason = (
            "it does not say which architecture it fits" if isinstance(error, KeyError) else first_line(error)
        )
        raise UserError(f"{path} holds no codec that was trained with this suite: {reason}") from None


def load(path: Path) -> Any:
    """The network of ``path``, in single precision, ready to code. Raises UserError."""
    from safetensors.torch import load_file

    architecture, configuration, _ = read_header(path)
    network = build(architecture, configuration)
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    tables = {k: v for k, v in network.state_dict().items() if k.rsplit(".", 1)[-1] in TABLES}
    load_strictly(network, tensors | tables, path, architecture)
    return network.eval().requires_grad_(False)
