"""HiFiC: what its layers compute, what its tables say, and the published checkpoints, under their own names.

The small files here have the names of the published ones, and random numbers in them; the networks of both
families are written down a second time, from those names alone, as what a file must mean.
"""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.nn import functional

from mpq.errors import UserError
from mpq.networks import trained
from mpq.networks.hific import (
    ChannelNorm,
    HiFiC,
    IntegerPrior,
    Shape,
    from_msillm,
    from_tan,
    load_checkpoint,
    reflect,
    to_multiple,
)

BASE, LATENT, HYPER, BLOCKS = 4, 6, 5, 2
WIDTHS = [BASE * 2**i for i in range(5)]
SMALL: dict[str, Any] = {"base": BASE, "latent": LATENT, "hyper": HYPER, "blocks": BLOCKS}

FILE = Path("some/file.pt")
ARGS: dict[str, Any] = {
    "likelihood_type": "gaussian",
    "normalize_input_image": False,
    "latent_channels": LATENT,
    "n_residual_blocks": BLOCKS,
    "use_channel_norm": True,
    "regime": "low",
    "image_dims": (3, 256, 256),
    "lambda_schedule": {"vals": [2.0, 1.0], "steps": [50000]},
    "warmstart_ckpt": None,
}
PUBLISHED = ["msillm", "tan-gaussian", "tan-logistic", "tan-signed"]
FAMILIES = [*PUBLISHED, "gdn"]
"""The published ones, and the one that is trained here."""


class Names(dict[str, Tensor]):
    """A state dict that layers are added to."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def normal(self, *size: int) -> Tensor:
        return torch.randn(*size, generator=self.random)

    def convolution(self, name: str, outputs: int, inputs: int, kernel: int, gain: float = 1.0) -> None:
        weight = self.normal(outputs, inputs, kernel, kernel)
        self[f"{name}.weight"] = weight * gain / (kernel * inputs**0.5)
        self[f"{name}.bias"] = 0.1 * self.normal(outputs)

    def transposed(self, name: str, inputs: int, outputs: int, kernel: int, gain: float = 1.0) -> None:
        weight = self.normal(inputs, outputs, kernel, kernel)
        self[f"{name}.weight"] = weight * gain / (kernel * inputs**0.5)
        self[f"{name}.bias"] = 0.1 * self.normal(outputs)

    def norm(self, name: str, channels: int) -> None:
        self[f"{name}.gamma"] = 1 + 0.3 * self.normal(1, channels, 1, 1)
        self[f"{name}.beta"] = 0.3 * self.normal(1, channels, 1, 1)


def msillm_tensors(*, old: bool = True, tables: str = "absent") -> Names:
    """As NeuralCompression's ``HiFiCAutoencoder`` names them, with CompressAI's old or new names of the prior."""
    t = Names()
    t.convolution("encoder.blocks.0.0", WIDTHS[0], 3, 7)
    t.norm("encoder.blocks.0.1", WIDTHS[0])
    for i in (1, 2, 3, 4):
        t.convolution(f"encoder.blocks.{i}.0", WIDTHS[i], WIDTHS[i - 1], 3)
        t.norm(f"encoder.blocks.{i}.1", WIDTHS[i])
    t.convolution("encoder.blocks.5", LATENT, WIDTHS[4], 3, gain=4)
    t.norm("decoder.block_0.0", LATENT)
    t.convolution("decoder.block_0.1", WIDTHS[4], LATENT, 3)
    t.norm("decoder.block_0.2", WIDTHS[4])
    for block in range(BLOCKS):
        for i in (0, 3):
            t.convolution(f"decoder.resid_blocks.{block}.sequence.{i}", WIDTHS[4], WIDTHS[4], 3)
            t.norm(f"decoder.resid_blocks.{block}.sequence.{i + 1}", WIDTHS[4])
    for i in (0, 1, 2, 3):
        t.transposed(f"decoder.blocks.{i}.0", WIDTHS[4 - i], WIDTHS[3 - i], 3)
        t.norm(f"decoder.blocks.{i}.1", WIDTHS[3 - i])
    t.convolution("decoder.blocks.4", 3, WIDTHS[0], 7)
    t.convolution("hyper_analysis.0", HYPER, LATENT, 3)
    t.convolution("hyper_analysis.2", HYPER, HYPER, 5)
    t.convolution("hyper_analysis.4", HYPER, HYPER, 5, gain=4)
    for name in ("hyper_synthesis_mean", "hyper_synthesis_scale"):
        t.transposed(f"{name}.0", HYPER, HYPER, 5)
        t.transposed(f"{name}.2", HYPER, HYPER, 5)
        t.convolution(f"{name}.4", LATENT, HYPER, 3, gain=2)
    widths = [1, 3, 3, 3, 3, 1]
    for i in range(5):
        prior = {"_matrix": t.normal(HYPER, widths[i + 1], widths[i])}
        prior["_bias"] = t.normal(HYPER, widths[i + 1], 1)
        if i < 4:
            prior["_factor"] = t.normal(HYPER, widths[i + 1], 1)
        new = {"_matrix": "matrices.", "_bias": "biases.", "_factor": "factors."}
        for name, value in prior.items():
            t[f"hyper_bottleneck.{name if old else new[name]}{i}"] = value
    t["hyper_bottleneck.quantiles"] = torch.tensor([-9.0, 0.25, 8.0]).repeat(HYPER, 1, 1)
    t["hyper_bottleneck.target"] = torch.tensor([-21.4164, 0.0, 21.4164])
    t["hyper_bottleneck.likelihood_lower_bound.bound"] = torch.tensor([1e-9])
    t["latent_bottleneck.likelihood_lower_bound.bound"] = torch.tensor([1e-9])
    t["latent_bottleneck.lower_bound_scale.bound"] = torch.tensor([0.11])
    if tables != "absent":
        rows = {"hyper_bottleneck": HYPER, "latent_bottleneck": 64}
        for model, n in rows.items() if tables == "filled" else dict.fromkeys(rows, 0).items():
            t[f"{model}._quantized_cdf"] = torch.ones(n, 7 if n else 0, dtype=torch.int32).squeeze(1)
            t[f"{model}._cdf_length"] = torch.ones(n, dtype=torch.int32)
            t[f"{model}._offset"] = torch.ones(n, dtype=torch.int32)
        t["latent_bottleneck.scale_table"] = torch.ones(64 if tables == "filled" else 0)
        t["latent_bottleneck.scale_bound"] = torch.tensor([0.11])
    return t


def tan_tensors(*, elsewhere: bool = True) -> Names:
    """As Justin Tan's ``model_state_dict`` names them, with what it holds beside the codec."""
    t = Names()
    t.convolution("Encoder.conv_block1.1", WIDTHS[0], 3, 7)
    t.norm("Encoder.conv_block1.2", WIDTHS[0])
    for i in (1, 2, 3, 4):
        t.convolution(f"Encoder.conv_block{i + 1}.1", WIDTHS[i], WIDTHS[i - 1], 3)
        t.norm(f"Encoder.conv_block{i + 1}.2", WIDTHS[i])
    t.convolution("Encoder.conv_block_out.1", LATENT, WIDTHS[4], 3, gain=4)
    t.norm("Generator.conv_block_init.0", LATENT)
    t.convolution("Generator.conv_block_init.2", WIDTHS[4], LATENT, 3)
    t.norm("Generator.conv_block_init.3", WIDTHS[4])
    for block in range(BLOCKS):
        for i in (1, 2):
            t.convolution(f"Generator.resblock_{block}.conv{i}", WIDTHS[4], WIDTHS[4], 3)
            t.norm(f"Generator.resblock_{block}.norm{i}", WIDTHS[4])
    for i in (1, 2, 3, 4):
        t.transposed(f"Generator.upconv_block{i}.0", WIDTHS[5 - i], WIDTHS[4 - i], 3)
        t.norm(f"Generator.upconv_block{i}.1", WIDTHS[4 - i])
    t.convolution("Generator.conv_block_out.1", 3, WIDTHS[0], 7)
    t.convolution("Hyperprior.analysis_net.conv1", HYPER, LATENT, 3)
    t.convolution("Hyperprior.analysis_net.conv2", HYPER, HYPER, 5)
    t.convolution("Hyperprior.analysis_net.conv3", HYPER, HYPER, 5, gain=4)
    for name in ("synthesis_mu", "synthesis_std"):
        t.transposed(f"Hyperprior.{name}.conv1", HYPER, HYPER, 5)
        t.transposed(f"Hyperprior.{name}.conv2", HYPER, HYPER, 5)
        t.transposed(f"Hyperprior.{name}.conv3", HYPER, LATENT, 3, gain=2)
    widths = [1, 3, 3, 3, 1]
    for i in range(4):
        prior = "Hyperprior.hyperlatent_likelihood"
        t[f"{prior}.H_{i}"] = t.normal(HYPER, widths[i + 1], widths[i])
        t[f"{prior}.a_{i}"] = t.normal(HYPER, widths[i + 1], 1)
        t[f"{prior}.b_{i}"] = t.normal(HYPER, widths[i + 1], 1)
    if elsewhere:
        t["Discriminator.conv1.weight_orig"] = torch.zeros(64, 15, 4, 4)
        t["Hyperprior.hyperprior_entropy_model.CDF"] = torch.zeros(HYPER, 9, dtype=torch.int32)
        t["Hyperprior.prior_entropy_model.scale_table_tensor"] = torch.zeros(64)
    return t


def network_of(family: str) -> HiFiC:
    if family == "gdn":
        torch.manual_seed(0)
        return HiFiC(Shape(**SMALL, normalisation="gdn")).eval().requires_grad_(False)
    if family == "msillm":
        return from_msillm(msillm_tensors(), FILE)
    arguments = ARGS | {
        "likelihood_type": "logistic" if family == "tan-logistic" else "gaussian",
        "normalize_input_image": family == "tan-signed",
    }
    return from_tan(tan_tensors(), arguments, FILE)


def _picture(height: int = 128, width: int = 192, n: int = 1) -> Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(5))


# ---- the networks once more, from the published names


def _norm(t: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    deviation = x - x.mean(1, keepdim=True)
    variance = (deviation**2).sum(1, keepdim=True) / (x.shape[1] - 1)
    return deviation / (variance + 1e-3).sqrt() * t[f"{name}.gamma"] + t[f"{name}.beta"]


def _convolved(
    t: dict[str, Tensor], name: str, x: Tensor, pads: tuple[int, ...], mode: str, stride: int = 1
) -> Tensor:
    x = functional.pad(x, pads, mode="reflect" if mode == "reflect" else "constant")
    return functional.conv2d(x, t[f"{name}.weight"], t[f"{name}.bias"], stride)


def _doubled(t: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight = t[f"{name}.weight"]
    return functional.conv_transpose2d(
        x, weight, t[f"{name}.bias"], 2, padding=weight.shape[-1] // 2, output_padding=1
    )


def msillm_meaning(t: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    one, two, three = (1,) * 4, (2,) * 4, (3,) * 4
    y = _convolved(t, "encoder.blocks.0.0", x, three, "zeros")
    y = functional.relu(_norm(t, "encoder.blocks.0.1", y))
    for i in (1, 2, 3, 4):
        y = _convolved(t, f"encoder.blocks.{i}.0", y, one, "zeros", 2)
        y = functional.relu(_norm(t, f"encoder.blocks.{i}.1", y))
    y = _convolved(t, "encoder.blocks.5", y, one, "zeros")
    z = functional.relu(_convolved(t, "hyper_analysis.0", y, one, "zeros"))
    z = functional.relu(_convolved(t, "hyper_analysis.2", z, two, "zeros", 2))
    z = _convolved(t, "hyper_analysis.4", z, two, "zeros", 2)
    z = torch.round(z - 0.25) + 0.25  # the medians in the file
    out = {"y": y, "z": z}
    for kind in ("mean", "scale"):
        h = functional.relu(_doubled(t, f"hyper_synthesis_{kind}.0", z))
        h = functional.relu(_doubled(t, f"hyper_synthesis_{kind}.2", h))
        out[kind] = _convolved(t, f"hyper_synthesis_{kind}.4", h, one, "zeros")
    y_hat = torch.round(y - out["mean"]) + out["mean"]
    g = _convolved(t, "decoder.block_0.1", _norm(t, "decoder.block_0.0", y_hat), one, "zeros")
    head = g = _norm(t, "decoder.block_0.2", g)
    for block in range(BLOCKS):
        name = f"decoder.resid_blocks.{block}.sequence"
        r = functional.relu(_norm(t, f"{name}.1", _convolved(t, f"{name}.0", g, one, "zeros")))
        g = g + _norm(t, f"{name}.4", _convolved(t, f"{name}.3", r, one, "zeros"))
    g = g + head
    for i in (0, 1, 2, 3):
        g = functional.relu(_norm(t, f"decoder.blocks.{i}.1", _doubled(t, f"decoder.blocks.{i}.0", g)))
    return out | {"picture": _convolved(t, "decoder.blocks.4", g, three, "zeros")}


def tan_meaning(t: dict[str, Tensor], x: Tensor, signed: bool) -> dict[str, Tensor]:
    one, two, three = (1,) * 4, (2,) * 4, (3,) * 4
    y = _convolved(t, "Encoder.conv_block1.1", (x - 0.5) / 0.5 if signed else x, three, "reflect")
    y = functional.relu(_norm(t, "Encoder.conv_block1.2", y))
    for i in (2, 3, 4, 5):
        y = _convolved(t, f"Encoder.conv_block{i}.1", y, (0, 1, 1, 0), "reflect", 2)
        y = functional.relu(_norm(t, f"Encoder.conv_block{i}.2", y))
    y = _convolved(t, "Encoder.conv_block_out.1", y, one, "reflect")
    z = functional.relu(_convolved(t, "Hyperprior.analysis_net.conv1", y, one, "zeros"))
    z = functional.relu(_convolved(t, "Hyperprior.analysis_net.conv2", z, two, "reflect", 2))
    z = torch.round(_convolved(t, "Hyperprior.analysis_net.conv3", z, two, "reflect", 2))
    out = {"y": y, "z": z}
    for kind, name in (("mean", "Hyperprior.synthesis_mu"), ("scale", "Hyperprior.synthesis_std")):
        h = functional.relu(_doubled(t, f"{name}.conv1", z))
        h = functional.relu(_doubled(t, f"{name}.conv2", h))
        last = (t[f"{name}.conv3.weight"], t[f"{name}.conv3.bias"])
        out[kind] = functional.conv_transpose2d(h, *last, padding=1)
    y_hat = torch.round(y - out["mean"]) + out["mean"]
    g = _norm(t, "Generator.conv_block_init.0", y_hat)
    head = g = _norm(
        t, "Generator.conv_block_init.3", _convolved(t, "Generator.conv_block_init.2", g, one, "reflect")
    )
    for block in range(BLOCKS):
        name = f"Generator.resblock_{block}"
        r = functional.relu(_norm(t, f"{name}.norm1", _convolved(t, f"{name}.conv1", g, one, "reflect")))
        g = g + _norm(t, f"{name}.norm2", _convolved(t, f"{name}.conv2", r, one, "reflect"))
    g = g + head
    for i in (1, 2, 3, 4):
        name = f"Generator.upconv_block{i}"
        g = functional.relu(_norm(t, f"{name}.1", _doubled(t, f"{name}.0", g)))
    g = _convolved(t, "Generator.conv_block_out.1", g, three, "reflect")
    return out | {"picture": (torch.tanh(g) + 1) / 2 if signed else g}


def _assert_means(network: HiFiC, meaning: dict[str, Tensor], x: Tensor) -> None:
    y = network.analyse(x)
    z, _ = network.prior(network.hyper_analysis(y))
    # What the test needs to tell anything: latents and side information of several values.
    assert len(y.round().unique()) > 5 and len(z.unique()) > 2
    assert torch.allclose(y, meaning["y"], atol=1e-4)
    assert torch.allclose(z, meaning["z"], atol=1e-4)
    assert torch.allclose(network.hyper_means(z), meaning["mean"], atol=1e-4)
    assert torch.allclose(network.hyper_scales(z), meaning["scale"], atol=1e-4)
    assert torch.allclose(network(x)["x_hat"], meaning["picture"], atol=1e-4)


# ---- layers


def test_channel_norm_by_hand() -> None:
    norm = ChannelNorm(4)
    norm.gain.data = torch.tensor([1.0, 2.0, 1.0, 1.0]).view(1, 4, 1, 1)
    norm.bias.data = torch.tensor([0.0, 0.0, 5.0, 0.0]).view(1, 4, 1, 1)
    # 1, 2, 3, 6: mean 3, squared deviations 4 + 1 + 0 + 9 over three degrees of freedom
    out = norm(torch.tensor([1.0, 2.0, 3.0, 6.0]).view(1, 4, 1, 1)).flatten()
    spread = (14 / 3 + 1e-3) ** 0.5
    assert out.tolist() == pytest.approx([-2 / spread, -2 / spread, 5.0, 3 / spread], abs=1e-6)


def test_gdn_keeps_the_contrast_that_channel_norm_takes_away() -> None:
    """Behind the first convolution (without its bias), twice the contrast is the same to ChannelNorm."""
    for normalisation, keeps in (("channel", False), ("gdn", True)):
        torch.manual_seed(0)
        first = torch.nn.Sequential(*list(HiFiC(Shape(**SMALL, normalisation=normalisation)).encoder)[:2])
        torch.nn.init.zeros_(first[0].bias)
        x = 100 * _picture(16, 16)
        once, twice = first(x), first(2 * x)
        assert torch.allclose(once, twice, atol=1e-3) is not keeps


def test_padding_mirrors_without_the_edge_where_it_can_and_else_repeats_it() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)
    expected = np.pad(x[0, 0].numpy(), ((1, 2), (3, 0)), mode="reflect")
    assert np.array_equal(reflect(x, 3, 0, 1, 2)[0, 0].numpy(), expected)
    tall = to_multiple(x, 8)[0, 0].numpy()  # 5 rows more than 3 allow, 4 columns more than 4 allow
    assert np.array_equal(tall, np.pad(x[0, 0].numpy(), ((0, 5), (0, 4)), mode="edge"))
    assert to_multiple(x, 1) is x


@pytest.mark.parametrize(
    "choice", [{"padding": "circular"}, {"likelihood": "student"}, {"normalisation": "batch"}]
)
def test_a_shape_that_there_is_not_is_refused(choice: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=" or "):
        Shape(**choice)


# ---- files of both families


@pytest.mark.parametrize(
    ("old", "tables"), [(True, "absent"), (True, "filled"), (False, "empty"), (False, "filled")]
)
def test_msillm_in_either_naming_and_whatever_its_tables(tmp_path: Path, old: bool, tables: str) -> None:
    tensors, x = msillm_tensors(old=old, tables=tables), _picture()
    torch.save(dict(tensors), tmp_path / "msillm_target_0.14bpp.ckpt")
    network = load_checkpoint(tmp_path / "msillm_target_0.14bpp.ckpt")
    assert network.shape == Shape(**SMALL) and (network.low, network.high) == (0.0, 1.0)
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    _assert_means(network, msillm_meaning(tensors, x), x)
    network.update()
    assert network.conditional.scale_table[[0, -1]].tolist() == pytest.approx([0.11, 256])


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
@pytest.mark.parametrize("signed", [False, True])
def test_tan_with_either_likelihood_and_range(tmp_path: Path, likelihood: Any, signed: bool) -> None:
    tensors, x = tan_tensors(), _picture()
    arguments = ARGS | {"likelihood_type": likelihood, "normalize_input_image": signed}
    saved = {"model_state_dict": dict(tensors), "args": arguments, "epoch": 3, "steps": 9}
    torch.save(saved | {"compression_optimizer_state_dict": {"state": {}}}, tmp_path / "hific_low.pt")
    network = load_checkpoint(tmp_path / "hific_low.pt")
    assert network.shape == Shape(**SMALL, padding="reflect", likelihood=likelihood, signed=signed)
    assert (network.low, network.high) == (-1.0 if signed else 0.0, 1.0)
    _assert_means(network, tan_meaning(tensors, x, signed), x)


def test_arguments_of_before_there_was_a_choice_are_those_of_the_published_files() -> None:
    short = {"likelihood_type": "gaussian", "normalize_input_image": True}
    assert from_tan(tan_tensors(elsewhere=False), short, FILE).shape.blocks == BLOCKS


@pytest.mark.parametrize("family", ["msillm", "tan-logistic", "gdn"])
def test_what_this_suite_writes_of_a_network_it_reads_again(tmp_path: Path, family: str) -> None:
    network = network_of(family)
    network.update()
    trained.save(tmp_path / "ours.safetensors", network, "hific", network.configuration, {})
    again = load_checkpoint(tmp_path / "ours.safetensors")
    assert again.shape == network.shape
    x = _picture(64, 64)
    assert torch.allclose(again.analyse(x), network.analyse(x), atol=0.05)  # kept in half precision


# ---- files that are not


def _without(name: str) -> Callable[[Names], None]:
    return lambda t: t.__delitem__(name)


def _with(name: str, *size: int) -> Callable[[Names], None]:
    return lambda t: t.__setitem__(name, torch.zeros(size))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_without("decoder.blocks.2.0.weight"), r"lacks generator.tail.6.weight \(1 missing, 0 strange"),
        (_without("hyper_bottleneck._factor3"), r"lacks prior.factors.3 "),
        (_without("encoder.blocks.5.weight"), r"lacks encoder.blocks.5.weight"),
        (_with("decoder.blocks.7.0.weight", 3), r"strange decoder.blocks.7.0.weight"),
        (_with("decoder.resid_blocks.9.sequence.0.bias", 3), r"lacks generator.residuals.2"),
        (_with("encoder.blocks.3.1.gamma", 1, 7, 1, 1), r"has encoder.10.gain as \(1, 7, 1, 1\)"),
        (_with("encoder.blocks.0.0.weight", 4), r"its encoder.blocks.0.0.weight is no convolution"),
    ],
)
def test_msillm_is_loaded_strictly(spoil: Callable[[Names], None], complaint: str) -> None:
    tensors = msillm_tensors()
    spoil(tensors)
    with pytest.raises(UserError, match=rf"^some/file.pt does not fit MS-ILLM's HiFiC: .*{complaint}"):
        from_msillm(tensors, FILE)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_without("Generator.resblock_1.norm2.beta"), r"lacks generator.residuals.1.4.bias \(1 missing"),
        (_without("Hyperprior.hyperlatent_likelihood.a_3"), r"lacks prior.factors.3 "),
        (_with("Generator.latent_noise_map.weight", 3), r"strange Generator.latent_noise_map.weight"),
        (_with("Hyperprior.synthesis_DLMM_params.conv1.weight", 3), r"strange Hyperprior.synthesis_DLMM"),
        (_with("Hyperprior.synthesis_mu.conv3.weight", HYPER, 9, 3, 3), r"has hyper_means.4.weight as"),
    ],
)
def test_tan_is_loaded_strictly(spoil: Callable[[Names], None], complaint: str) -> None:
    tensors = tan_tensors()
    spoil(tensors)
    with pytest.raises(UserError, match=rf"^some/file.pt does not fit Justin Tan's HiFiC: .*{complaint}"):
        from_tan(tensors, ARGS, FILE)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"use_latent_mixture_model": True}, "use_latent_mixture_model=True, not False"),
        ({"sample_noise": True}, "sample_noise=True, not False"),
        ({"use_channel_norm": False}, "use_channel_norm=False, not True"),
        ({"n_residual_blocks": 9}, "n_residual_blocks=9, not 2"),
        ({"latent_channels": torch.zeros(2)}, "latent_channels="),
        ({"likelihood_type": "laplace"}, "likelihood_type='laplace'"),
        ({"normalize_input_image": None}, "normalize_input_image=None"),
    ],
)
def test_arguments_that_no_network_here_has(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=rf"^some/file.pt does not fit .*its args say .*{complaint}"):
        from_tan(tan_tensors(), ARGS | arguments, FILE)


class Command:
    """Runs when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_with_code_in_it_is_refused_and_nothing_runs(tmp_path: Path, legacy: bool) -> None:
    path, marker = tmp_path / "bad.pt", tmp_path / "ran"
    content = {"model_state_dict": dict(tan_tensors()), "args": ARGS | {"name": Command(marker)}}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        UserError, match=rf"^{path} is no file of tensors that can be read safely: it asks for"
    ):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(Command(marker), protocol=2))
    with pytest.raises(UserError, match="can be read safely"):
        load_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (lambda p: None, "cannot be read: No such file"),
        (lambda p: p.mkdir(), "cannot be read: Is a directory"),
        (lambda p: p.write_text("not found\n"), "read safely: it is cut short, or no PyTorch file"),
        (lambda p: p.write_bytes(b""), "read safely: it is cut short, or no PyTorch file"),
        (lambda p: torch.save([1, 2], p), "holds no state dict"),
        (lambda p: torch.save({"conv1.weight": torch.zeros(3)}, p), "holds no HiFiC that is known here"),
        (lambda p: torch.save({"model_state_dict": {"a": 1}}, p), "holds no HiFiC that is known here"),
        (lambda p: torch.save({"model_state_dict": {"a": 1}, "args": {}}, p), "its 'a' is no tensor"),
        (lambda p: torch.save({"encoder.blocks.0.0.weight": 1}, p), "is no tensor"),
        (
            lambda p: torch.save({"model_state_dict": {}, "args": argparse.Namespace(gpu=0)}, p),
            "read safely: it asks for argparse.Namespace",
        ),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, write: Callable[[Path], Any], complaint: str) -> None:
    path = tmp_path / "weights.pt"
    write(path)
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    assert str(caught.value).startswith(str(path)) and complaint in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_was_cut_short_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(dict(msillm_tensors()), path)
    for share in (0.99, 0.5, 0.01):
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(UserError, match="it is cut short, or no PyTorch file$"):
            load_checkpoint(path)


def test_another_network_of_ours_is_no_hific(tmp_path: Path) -> None:
    path, sizes = tmp_path / "other.safetensors", {"N": 8, "M": 8}
    network = trained.build("mean-scale-hyperprior", sizes)
    trained.save(path, network, "mean-scale-hyperprior", sizes, {})
    with pytest.raises(UserError, match=f"^{path} holds a MeanScaleHyperprior, which is no HiFiC$"):
        load_checkpoint(path)


# ---- probabilities


def _tan_cumulative(t: dict[str, Tensor], channel: int, x: np.ndarray) -> np.ndarray:
    """Ballé et al. 2018, section 6.1, with a gate behind each of the four layers."""
    h = x[None].astype(np.float64)
    for i in range(4):
        matrix, gate, bias = (
            t[f"Hyperprior.hyperlatent_likelihood.{kind}_{i}"][channel].double().numpy() for kind in "Hab"
        )
        h = np.log1p(np.exp(matrix)) @ h + bias
        h = h + np.tanh(gate) * np.tanh(h)
    return 1 / (1 + np.exp(-h[0]))


def _probabilities(model: Any, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols of a row of a table, and the probability that the coder gives to each; the rest is the escape's."""
    length, first = int(model._cdf_length[row]), int(model._offset[row])
    cdf = model._quantized_cdf[row, :length].numpy()
    assert cdf[0] == 0 and cdf[-1] == 2**16 and (np.diff(cdf) > 0).all()
    return np.arange(first, first + length - 2), np.diff(cdf)[:-1] / 2**16


def test_tans_prior_is_its_formula() -> None:
    tensors = tan_tensors()
    network = from_tan(tensors, ARGS, FILE)
    z = torch.arange(-40.0, 41.0).expand(1, HYPER, 1, -1)
    rounded, likelihoods = network.prior(z + 0.3)
    assert torch.equal(rounded, z)
    for channel in range(HYPER):
        numbers = z[0, channel, 0].numpy()
        expected = _tan_cumulative(tensors, channel, numbers + 0.5) - _tan_cumulative(
            tensors, channel, numbers - 0.5
        )
        assert likelihoods[0, channel, 0].numpy() == pytest.approx(np.maximum(expected, 1e-9), abs=1e-6)


def test_tans_tables_hold_all_but_a_billionth_and_are_its_probabilities() -> None:
    tensors = tan_tensors()
    prior = from_tan(tensors, ARGS, FILE).prior
    assert prior.update() and not prior.update()
    assert prior._get_medians().shape == (HYPER, 1, 1) and not prior._get_medians().any()
    assert prior._quantized_cdf.dtype == torch.int32 and prior._quantized_cdf.shape[0] == HYPER
    for channel in range(HYPER):
        symbols, found = _probabilities(prior, channel)
        below, above = _tan_cumulative(tensors, channel, np.array([symbols[0] - 0.5, symbols[-1] + 0.5]))
        assert 0 < below + (1 - above) < 1e-9
        inner = _tan_cumulative(tensors, channel, np.array([symbols[0] + 1.0, symbols[-1] - 1.0]))
        assert inner[0] > 4e-10 and 1 - inner[1] > 4e-10  # no longer than it must be
        expected = np.diff(_tan_cumulative(tensors, channel, np.append(symbols, symbols[-1] + 1) - 0.5))
        # Each symbol has at least one part of 2^16, which the others lack.
        assert found == pytest.approx(expected, abs=(len(symbols) + 1) / 2**16)


def test_a_prior_far_from_zero_still_has_a_table() -> None:
    prior = IntegerPrior(3)
    prior.biases[0].data[1] += 1e3  # the whole mass below -4096
    prior.biases[0].data[2] -= 50  # and around 500, far off zero
    prior.update()
    for channel in range(3):
        _probabilities(prior, channel)
    assert prior._offset[0] < 0 < prior._offset[2]


@pytest.mark.parametrize(
    ("likelihood", "distribution"), [("gaussian", scipy.stats.norm), ("logistic", scipy.stats.logistic)]
)
def test_the_tables_of_y_are_of_their_distribution(likelihood: Any, distribution: Any) -> None:
    network = HiFiC(Shape(**SMALL, likelihood=likelihood))
    network.update()
    model = network.conditional
    assert model._quantized_cdf.shape[0] == 64
    for row in (0, 20, 40, 63):
        scale = float(model.scale_table[row])
        symbols, found = _probabilities(model, row)
        expected = distribution.cdf((symbols + 0.5) / scale) - distribution.cdf((symbols - 0.5) / scale)
        assert found == pytest.approx(expected, abs=(len(symbols) + 1) / 2**16)
        assert expected.sum() > 1 - 1e-8
    # A scale takes the next larger entry; below 0.11 there is none.
    assert model.build_indexes(torch.tensor([[0.0, 0.11, 1e9]])).tolist() == [[0, 0, 63]]


@pytest.mark.parametrize(
    ("likelihood", "distribution"), [("gaussian", scipy.stats.norm), ("logistic", scipy.stats.logistic)]
)
def test_the_likelihood_of_y_is_of_its_distribution(likelihood: Any, distribution: Any) -> None:
    model = HiFiC(Shape(**SMALL, likelihood=likelihood)).eval().conditional
    means, scales = torch.tensor([0.2, 0.2, -3.0, 0.0]), torch.tensor([0.01, 1.5, 4.0, 0.5])
    rounded, found = model(torch.tensor([0.4, 2.4, -9.1, 0.0])[None], scales[None], means[None])
    assert rounded[0].tolist() == pytest.approx([0.2, 2.2, -9.0, 0.0])
    bounded = scales.clamp(min=0.11).numpy()
    distance = (rounded[0] - means).numpy()
    expected = distribution.cdf((distance + 0.5) / bounded) - distribution.cdf((distance - 0.5) / bounded)
    assert found[0].numpy() == pytest.approx(expected, abs=1e-6)


# ---- the whole


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_decodes_to_what_forward_shows(family: str) -> None:
    network, x = network_of(family), _picture()
    network.update()
    y = network.analyse(x)
    z = network.hyper_analysis(y)
    strings = network.prior.compress(z)
    z_hat = network.prior.decompress(strings, z.shape[2:])
    means, indexes = (
        network.hyper_means(z_hat),
        network.conditional.build_indexes(network.hyper_scales(z_hat)),
    )
    written = network.conditional.compress(y, indexes, means)
    y_hat = network.conditional.decompress(written, indexes, means=means)
    shown = network(x)
    assert torch.equal(y_hat, shown["y_hat"])
    assert torch.equal(network.synthesise(y_hat), shown["x_hat"].clamp(0, 1))
    assert written[0] and strings[0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 100), (16, 33), (64, 65), (100, 130), (129, 48)])
def test_pictures_of_any_size(family: str, height: int, width: int) -> None:
    network, x = network_of(family), _picture(height, width, n=2)
    latents = (4 * -(-height // 64), 4 * -(-width // 64))
    assert network.analyse(x).shape == (2, LATENT, *latents)
    out = network(x)
    assert out["x_hat"].shape == x.shape and torch.isfinite(out["x_hat"]).all()
    assert out["likelihoods"]["z"].shape == (2, HYPER, latents[0] // 4, latents[1] // 4)
    assert network.synthesise(out["y_hat"]).shape == (2, 3, 16 * latents[0], 16 * latents[1])


@pytest.mark.parametrize(("family", "sides"), [("msillm", (128, 192)), ("tan-signed", (112, 144))])
def test_each_family_pads_pictures_its_own_way(family: str, sides: tuple[int, int]) -> None:
    network, x = network_of(family), _picture(100, 130)
    seen: list[Tensor] = []
    network.encoder.register_forward_hook(lambda _, inputs, output: seen.extend([inputs[0], output]))
    y = network.analyse(x)
    picture = np.pad(x[0], ((0, 0), (0, sides[0] - 100), (0, sides[1] - 130)), mode="reflect")
    expected = 2 * picture - 1 if network.shape.signed else picture
    assert seen[0][0].numpy() == pytest.approx(expected, abs=1e-6)
    rows, columns = (8 - sides[0] // 16, 12 - sides[1] // 16)
    assert np.array_equal(y[0], np.pad(seen[1][0], ((0, 0), (0, rows), (0, columns)), mode="reflect"))


def test_pictures_are_in_0_to_1_whatever_the_network_sees() -> None:
    signed = network_of("tan-signed")
    seen: list[Tensor] = []
    signed.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    signed.analyse(torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64))
    assert [seen[0][0, c].unique().item() for c in range(3)] == [-1.0, 0.0, 1.0]
    for family in FAMILIES:
        network = network_of(family)
        network.generator = torch.nn.Identity()  # type: ignore[assignment]
        shown = network.synthesise(torch.tensor([-9.0, -0.5, 0.0, 0.5, 9.0]))
        if network.shape.signed:
            expected = (np.tanh([-9.0, -0.5, 0.0, 0.5, 9.0]) + 1) / 2
        else:
            expected = np.array([0.0, 0.0, 0.0, 0.5, 1.0])
        assert shown.numpy() == pytest.approx(expected, abs=1e-6)


def test_training_draws_noise_and_its_gradient_reaches_every_weight() -> None:
    torch.manual_seed(0)
    network, x = HiFiC(Shape(**SMALL)).train(), _picture(64, 128, n=2)
    torch.manual_seed(1)
    out = network(x)
    assert out["x_hat"].shape == x.shape and out["y_hat"].shape == (2, LATENT, 4, 8)
    for likelihoods in out["likelihoods"].values():
        assert (likelihoods > 0).all() and (likelihoods <= 1).all()
    other = network(x)["likelihoods"]["y"]
    assert not torch.equal(other, out["likelihoods"]["y"])
    torch.manual_seed(1)
    assert torch.equal(network(x)["likelihoods"]["y"], out["likelihoods"]["y"])
    rate = sum(-torch.log2(p).sum() for p in out["likelihoods"].values())
    (rate + 1e3 * torch.mean((out["x_hat"] - x) ** 2)).backward()
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == ["prior.quantiles"]  # which have a loss of their own
