"""HiFiC, the generative codec of Mentzer, Toderici, Tschannen and Agustsson (NeurIPS 2020, arXiv 2006.09965).

Read from top to bottom: padding and the layers, the encoder, the generator, the hyperprior, the two entropy
models that CompressAI lacks, the whole, and the published checkpoints. There are two families of those:

- MS-ILLM and its No-GAN start (NeuralCompression): convolutions pad with zeros. This is also what we train.
- Justin Tan's: convolutions reflect, the prior of z knows no median, latents may be logistic, and pictures
  may be in [-1, 1].
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from compressai.layers import GDN
from compressai.models.google import get_scale_table
from torch import Tensor, nn
from torch.nn import functional

from mpq.errors import UserError
from mpq.networks.entropy import TABLES
from mpq.weights.sources import load_strictly, read_checkpoint


@dataclass(frozen=True)
class Shape:
    """Sizes and choices that make a HiFiC. Raises ValueError where a choice is none of those that there are.

    base: the first layer's channels, doubled at each of four halvings (960 in the paper). latent: channels
    of y. hyper: channels of z. blocks: residual blocks of the generator. padding: "zeros" is MS-ILLM's family,
    "reflect" Justin Tan's. likelihood: what y is distributed like. signed: whether the networks see and make
    pictures in [-1, 1], the latter through a tanh, rather than in [0, 1]. normalisation: "channel" is the paper's;
    "gdn" has generalised divisive normalisation (Ballé et al. 2016, arXiv 1511.06281) between halvings and doublings
    and none elsewhere, for small networks: over 16 channels ChannelNorm throws contrast away that 60 can keep.
    """

    base: int = 60
    latent: int = 220
    hyper: int = 320
    blocks: int = 9
    padding: Literal["zeros", "reflect"] = "zeros"
    likelihood: Literal["gaussian", "logistic"] = "gaussian"
    signed: bool = False
    normalisation: Literal["channel", "gdn"] = "channel"

    def __post_init__(self) -> None:
        if self.padding not in ("zeros", "reflect"):
            raise ValueError(f"padding is 'zeros' or 'reflect', not {self.padding!r}")
        if self.likelihood not in ("gaussian", "logistic"):
            raise ValueError(f"likelihood is 'gaussian' or 'logistic', not {self.likelihood!r}")
        if self.normalisation not in ("channel", "gdn"):
            raise ValueError(f"normalisation is 'channel' or 'gdn', not {self.normalisation!r}")

    @property
    def filters(self) -> list[int]:
        return [self.base << i for i in range(5)]


def reflect(x: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """``x`` (n, c, h, w) with its mirror image around it; with its edge repeated where a side is too short.

    A mirror needs more pixels than it adds, and a picture 32 pixels wide has only two columns of latents.
    """
    height, width = x.shape[-2:]
    if left or right:
        x = functional.pad(
            x, (left, right, 0, 0), mode="reflect" if max(left, right) < width else "replicate"
        )
    if top or bottom:
        x = functional.pad(
            x, (0, 0, top, bottom), mode="reflect" if max(top, bottom) < height else "replicate"
        )
    return x


def to_multiple(x: Tensor, multiple: int) -> Tensor:
    """``x`` (n, c, h, w) reflected to the right and below until both sides are multiples of ``multiple``."""
    height, width = x.shape[-2:]
    return reflect(x, 0, -width % multiple, 0, -height % multiple)


class ChannelNorm(nn.Module):
    """Normalises each pixel over its channels (unbiased variance), then a gain and a bias a channel."""

    EPSILON = 1e-3

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + self.EPSILON) * self.gain + self.bias


class Convolution(nn.Conv2d):
    """A convolution with zeros around the picture, or its mirror image: left, right, top, bottom ``margins``."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        padding: str,
        *,
        stride: int = 1,
        margins: tuple[int, int, int, int] | None = None,
    ) -> None:
        mirror, around = padding == "reflect", kernel // 2
        super().__init__(inputs, outputs, kernel, stride, padding=0 if mirror else around)
        self.margins = (margins or (around,) * 4) if mirror else (0, 0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(reflect(x, *self.margins))


class Halve(nn.Module):
    """A 3×3 convolution of stride 2. Reflecting, it pads above and to the right only, as its weights expect."""

    def __init__(self, inputs: int, outputs: int, padding: str) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, outputs, 3, padding, stride=2, margins=(0, 1, 1, 0))

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x)


def _bend(shape: Shape, channels: int, *, inverse: bool = False) -> list[nn.Module]:
    """What stands between convolutions of different resolution. inverse: in the generator."""
    if shape.normalisation == "gdn":
        return [GDN(channels, inverse=inverse)]
    return [ChannelNorm(channels), nn.ReLU()]


def _even(shape: Shape, channels: int) -> list[nn.Module]:
    """What stands behind convolutions at the latents' resolution."""
    return [] if shape.normalisation == "gdn" else [ChannelNorm(channels)]


class Encoder(nn.Sequential):
    """(n, 3, h, w) -> y: (n, latent, h/16, w/16)."""

    def __init__(self, shape: Shape) -> None:
        f = shape.filters
        layers: list[nn.Module] = [Convolution(3, f[0], 7, shape.padding), *_bend(shape, f[0])]
        for inputs, outputs in pairwise(f):
            layers += [Halve(inputs, outputs, shape.padding), *_bend(shape, outputs)]
        super().__init__(*layers, Convolution(f[-1], shape.latent, 3, shape.padding))


class Residual(nn.Sequential):
    def __init__(self, shape: Shape) -> None:
        channels = shape.filters[-1]
        super().__init__(
            Convolution(channels, channels, 3, shape.padding),
            *_even(shape, channels),
            nn.ReLU(),
            Convolution(channels, channels, 3, shape.padding),
            *_even(shape, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Generator(nn.Module):
    """y: (n, latent, h/16, w/16) -> (n, 3, h, w)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        f = shape.filters[::-1]
        self.head = nn.Sequential(
            *_even(shape, shape.latent),
            Convolution(shape.latent, f[0], 3, shape.padding),
            *_even(shape, f[0]),
        )
        self.residuals = nn.Sequential(*(Residual(shape) for _ in range(shape.blocks)))
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(f):
            double = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
            layers += [double, *_bend(shape, outputs, inverse=True)]
        self.tail = nn.Sequential(*layers, Convolution(f[-1], 3, 7, shape.padding))

    def forward(self, y: Tensor) -> Tensor:
        head = self.head(y)
        return self.tail(head + self.residuals(head))


class HyperAnalysis(nn.Sequential):
    """y -> z: (n, hyper, h/64, w/64). Its first layer pads with zeros in both families."""

    def __init__(self, shape: Shape) -> None:
        n = shape.hyper
        super().__init__(
            Convolution(shape.latent, n, 3, "zeros"),
            nn.ReLU(),
            Convolution(n, n, 5, shape.padding, stride=2),
            nn.ReLU(),
            Convolution(n, n, 5, shape.padding, stride=2),
        )


class HyperSynthesis(nn.Sequential):
    """z -> means, or scales, of y. The last layer is a transposed convolution in the reflecting family."""

    def __init__(self, shape: Shape) -> None:
        n = shape.hyper
        options: dict[str, Any] = {"stride": 2, "padding": 2, "output_padding": 1}
        last = nn.ConvTranspose2d if shape.padding == "reflect" else nn.Conv2d
        super().__init__(
            nn.ConvTranspose2d(n, n, 5, **options),
            nn.ReLU(),
            nn.ConvTranspose2d(n, n, 5, **options),
            nn.ReLU(),
            last(n, shape.latent, 3, padding=1),
        )


class IntegerPrior(EntropyBottleneck):
    """The factorised prior of the reflecting family: z is rounded to whole numbers, with no median between.

    The cumulative of each channel is Ballé's (2018, arXiv 1802.01436, section 6.1) with three hidden layers of
    three, and with a gate tanh(a)·tanh(x) behind the last layer too, where CompressAI's has none.
    """

    REACH = 4096
    """Whole numbers beyond it are in no table: the coder writes them out in full, as it does those of the tails."""

    _offset: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, filters=(3, 3, 3))
        self.factors.append(nn.Parameter(torch.zeros(channels, 1, 1)))
        del self.quantiles, self.target

    def _get_medians(self) -> Tensor:
        """Zeros (channels, 1, 1)."""
        return torch.zeros_like(self.biases[-1])

    def _logits_cumulative(self, inputs: Tensor, stop_gradient: bool) -> Tensor:
        logits = super()._logits_cumulative(inputs, stop_gradient)
        factor = self.factors[-1].detach() if stop_gradient else self.factors[-1]
        return logits + torch.tanh(factor) * torch.tanh(logits)

    def _likelihood(self, inputs: Tensor, stop_gradient: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        lower = self._logits_cumulative(inputs - 0.5, stop_gradient)
        upper = self._logits_cumulative(inputs + 0.5, stop_gradient)
        # Above the middle both sigmoids round to 1 and their difference to 0; below it, mirrored, they do not.
        sign = torch.where(lower + upper > 0, -1.0, 1.0)
        return (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs(), lower, upper

    @torch.no_grad()
    def update(self, force: bool = False, update_quantiles: bool = False) -> bool:
        """Tables from the first to the last whole number between the tails, which hold ``tail_mass`` together.

        update_quantiles: without meaning here, where there are no quantiles.
        """
        if self._offset.numel() > 0 and not force:
            return False
        whole = torch.arange(-self.REACH, self.REACH + 1, device=self.biases[-1].device)
        logits = self._logits_cumulative(whole.float().expand(self.channels, 1, -1), True)[:, 0]
        tail = math.log(2 / self.tail_mass - 1)
        first = whole[(torch.sum(logits <= -tail, dim=1) - 1).clamp(min=0)]
        last = whole[torch.sum(logits < tail, dim=1).clamp(max=len(whole) - 1)]
        lengths = (last - first + 1).int()
        longest = int(lengths.max())
        numbers = first[:, None, None] + torch.arange(longest, device=first.device)
        pmf, lower, upper = (values[:, 0] for values in self._likelihood(numbers.float(), True))
        end = upper.gather(1, (last - first)[:, None])
        beyond = torch.sigmoid(lower[:, :1]) + torch.sigmoid(-end)
        self._quantized_cdf = self._pmf_to_cdf(pmf, beyond, lengths, longest)
        self._cdf_length = lengths + 2
        self._offset = first.int()
        return True


class LogisticConditional(GaussianConditional):
    """The conditional model of y with logistic distributions in the place of Gaussian ones of the same scale."""

    def _standardized_cumulative(self, inputs: Tensor) -> Tensor:
        return torch.sigmoid(inputs)

    @staticmethod
    def _standardized_quantile(quantile: float) -> float:
        return math.log(quantile / (1 - quantile))


class HiFiC(nn.Module):
    """The whole. Pictures are (n, 3, h, w) in [0, 1], of any size; y is (n, latent, 4⌈h/64⌉, 4⌈w/64⌉).

    low, high: the range in which encoder and generator have their pictures. multiple: pictures are reflected
    until their sides are multiples of it, 64 in MS-ILLM's family, 16 in the other, which then reflects the
    latents until theirs are multiples of 4.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        mirror = shape.padding == "reflect"
        self.low, self.high = (-1.0 if shape.signed else 0.0), 1.0
        self.multiple = 16 if mirror else 64
        self.encoder = Encoder(shape)
        self.generator = Generator(shape)
        self.hyper_analysis = HyperAnalysis(shape)
        self.hyper_means = HyperSynthesis(shape)
        self.hyper_scales = HyperSynthesis(shape)
        self.prior = IntegerPrior(shape.hyper) if mirror else EntropyBottleneck(shape.hyper)
        logistic = shape.likelihood == "logistic"
        self.conditional = LogisticConditional(None) if logistic else GaussianConditional(None)

    @property
    def configuration(self) -> dict[str, Any]:
        return asdict(self.shape)

    def update(self, force: bool = False) -> None:
        """Fills the tables that coding needs: of z's channels, and of y's 64 scales from 0.11 to 256."""
        self.prior.update(force=force)
        self.conditional.update_scale_table(get_scale_table(), force=force)

    def analyse(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, h, w) in [0, 1] -> y: (n, latent, 4⌈h/64⌉, 4⌈w/64⌉)."""
        x = to_multiple(self.low + (self.high - self.low) * x, self.multiple)
        return to_multiple(self.encoder(x), 4)

    def synthesise(self, y_hat: Tensor) -> Tensor:
        """y -> pictures (n, 3, 64⌈h/64⌉, 64⌈w/64⌉) in [0, 1], to be cut to their size."""
        return self._generate(y_hat).clamp(0, 1)

    def _generate(self, y_hat: Tensor) -> Tensor:
        x = self.generator(y_hat)
        return (torch.tanh(x) - self.low) / (self.high - self.low) if self.shape.signed else x

    def forward(self, x: Tensor) -> dict[str, Any]:
        """Reconstruction, not clamped, and the likelihoods of what would be written.

        In training uniform noise stands for rounding, for the generator too. (The paper rounds for the generator
        and lets the gradient through. A small network then learns latents just above ½, which are cheap under
        noise and dear when rounded: real rates came out at twice those of the loss.) In evaluation latents are
        rounded, and x_hat is what a decoder would show.
        """
        y = self.analyse(x)
        z, z_likelihoods = self.prior(self.hyper_analysis(y))
        means, scales = self.hyper_means(z), self.hyper_scales(z)
        y_hat, y_likelihoods = self.conditional(y, scales, means)
        return {
            "x_hat": self._generate(y_hat)[..., : x.shape[-2], : x.shape[-1]],
            "y_hat": y_hat,
            "likelihoods": {"y": y_likelihoods, "z": z_likelihoods},
        }


_CONSTANTS = ("target", "bound", "scale_bound")
"""Buffers of the entropy models that are no weights; whether a file holds them depends on CompressAI's release."""

_TAN_ELSEWHERE = (
    "Discriminator.",
    "perceptual_loss.",
    "Hyperprior.hyperprior_entropy_model.",
    "Hyperprior.prior_entropy_model.",
    "Hyperprior.prior_density.",
)
"""What Justin Tan's files may hold beside the codec: the adversary, LPIPS, and the tables of his own coder."""

_TAN_SUPPORTED = {"use_latent_mixture_model": False, "sample_noise": False, "use_channel_norm": True}
"""What these arguments are in the published files; for other values there is no network here."""


def from_msillm(tensors: dict[str, Tensor], path: Path) -> HiFiC:
    """The network of a state dict of NeuralCompression's ``HiFiCAutoencoder``; sizes are those of its tensors.

    The prior's may have CompressAI's old names (``_matrix0``) or its new ones (``matrices.0``). path: where
    they come from, for the UserError that is raised where they do not fit.
    """
    spec = "MS-ILLM's HiFiC"
    blocks = {name.split(".")[2] for name in tensors if name.startswith("decoder.resid_blocks.")}
    shape = Shape(
        base=_outputs(tensors, "encoder.blocks.0.0.weight", path, spec),
        latent=_outputs(tensors, "encoder.blocks.5.weight", path, spec),
        hyper=_outputs(tensors, "hyper_analysis.0.weight", path, spec),
        blocks=len(blocks),
    )
    layers = [
        *(f"encoder.blocks.{i}.{j}" for i in range(5) for j in (0, 1)),
        "encoder.blocks.5",
        *(f"decoder.block_0.{i}" for i in (0, 1, 2)),
        *(f"decoder.resid_blocks.{i}.sequence.{j}" for i in range(shape.blocks) for j in (0, 1, 3, 4)),
        *(f"decoder.blocks.{i}.{j}" for i in range(4) for j in (0, 1)),
        "decoder.blocks.4",
        *(f"hyper_analysis.{i}" for i in (0, 2, 4)),
        *(f"hyper_synthesis_mean.{i}" for i in (0, 2, 4)),
        *(f"hyper_synthesis_scale.{i}" for i in (0, 2, 4)),
    ]
    models = {"hyper_bottleneck": "prior", "latent_bottleneck": "conditional"}
    return _load(shape, tensors, layers, models, path, spec)


def from_tan(tensors: dict[str, Tensor], arguments: dict[str, Any], path: Path) -> HiFiC:
    """The network of the ``model_state_dict`` and the ``args`` of a checkpoint of Justin Tan's.

    Sizes are those of its tensors; the arguments must agree, and say what tensors cannot: ``likelihood_type``
    and ``normalize_input_image``. path: where they come from, for the UserError that is raised where they do
    not fit.
    """
    spec = "Justin Tan's HiFiC"
    tensors = {name: value for name, value in tensors.items() if not name.startswith(_TAN_ELSEWHERE)}
    blocks = {name.split(".")[1] for name in tensors if name.startswith("Generator.resblock_")}
    latent = _outputs(tensors, "Encoder.conv_block_out.1.weight", path, spec)
    for name, value in (
        _TAN_SUPPORTED | {"latent_channels": latent, "n_residual_blocks": len(blocks)}
    ).items():
        found = arguments.get(name, value)
        if not isinstance(found, int) or found != value:
            raise UserError(f"{path} does not fit {spec}: its args say {name}={found!r}, not {value!r}")
    likelihood, signed = arguments.get("likelihood_type"), arguments.get("normalize_input_image")
    if likelihood not in ("gaussian", "logistic") or not isinstance(signed, bool):
        raise UserError(
            f"{path} does not fit {spec}: its args say likelihood_type={likelihood!r} and "
            f"normalize_input_image={signed!r}, not 'gaussian' or 'logistic' and True or False"
        )
    shape = Shape(
        base=_outputs(tensors, "Encoder.conv_block1.1.weight", path, spec),
        latent=latent,
        hyper=_outputs(tensors, "Hyperprior.analysis_net.conv1.weight", path, spec),
        blocks=len(blocks),
        padding="reflect",
        likelihood=likelihood,
        signed=signed,
    )
    halves = ("conv1", "norm1", "conv2", "norm2")
    layers = [
        *(f"Encoder.conv_block{i}.{j}" for i in range(1, 6) for j in (1, 2)),
        "Encoder.conv_block_out.1",
        *(f"Generator.conv_block_init.{i}" for i in (0, 2, 3)),
        *(f"Generator.resblock_{i}.{half}" for i in range(shape.blocks) for half in halves),
        *(f"Generator.upconv_block{i}.{j}" for i in range(1, 5) for j in (0, 1)),
        "Generator.conv_block_out.1",
        *(f"Hyperprior.analysis_net.conv{i}" for i in (1, 2, 3)),
        *(f"Hyperprior.synthesis_mu.conv{i}" for i in (1, 2, 3)),
        *(f"Hyperprior.synthesis_std.conv{i}" for i in (1, 2, 3)),
    ]
    return _load(shape, tensors, layers, {"Hyperprior.hyperlatent_likelihood": "prior"}, path, spec)


def load_checkpoint(path: Path) -> HiFiC:
    """The HiFiC of a published file of either family, or of a safetensors file that this suite wrote.

    It wants its ``update()`` before it codes. Nothing is unpickled but tensors and plain values. Raises
    UserError, one sentence, where the file cannot be read so, or holds something else.
    """
    if path.suffix == ".safetensors":
        from mpq.networks import trained  # which imports this module

        network = trained.load(path)
        if not isinstance(network, HiFiC):
            raise UserError(f"{path} holds a {type(network).__name__}, which is no HiFiC")
        return network
    content = read_checkpoint(path)
    tensors, arguments = content.get("model_state_dict"), content.get("args")
    if isinstance(tensors, dict) and isinstance(arguments, dict):
        return from_tan(_tensors(tensors, path), arguments, path)
    if any(str(name).startswith(("encoder.blocks.", "hyper_bottleneck.")) for name in content):
        return from_msillm(_tensors(content, path), path)
    raise UserError(
        f"{path} holds no HiFiC that is known here: neither NeuralCompression's HiFiCAutoencoder "
        "nor Justin Tan's model_state_dict with its args"
    )


def _tensors(content: dict[Any, Any], path: Path) -> dict[str, Tensor]:
    for name, value in content.items():
        if not isinstance(name, str) or not torch.is_tensor(value):
            raise UserError(f"{path} holds no state dict (names to tensors): its {name!r} is no tensor")
    return content


def _outputs(tensors: dict[str, Tensor], name: str, path: Path, spec: str) -> int:
    """Channels that the convolution with the weight ``name`` puts out."""
    if name not in tensors:
        raise UserError(f"{path} does not fit {spec}: it lacks {name}")
    if tensors[name].ndim != 4:
        raise UserError(f"{path} does not fit {spec}: its {name} is no convolution's weight")
    return tensors[name].shape[0]


def _load(
    shape: Shape,
    tensors: dict[str, Tensor],
    layers: list[str],
    models: dict[str, str],
    path: Path,
    spec: str,
) -> HiFiC:
    """A HiFiC with ``tensors``. layers: the file's names of its layers, in our order. models: of entropy models."""
    network = HiFiC(shape)
    own = network.state_dict()
    # Each layer of the transforms ends in a bias; in the entropy models no name does.
    ours = [name.removesuffix(".bias") for name in own if name.endswith(".bias")]
    renamed = dict(zip(layers, ours, strict=True)) | models
    tensors = {_renamed(name, renamed): value for name, value in tensors.items()}
    kind = {name: name.rpartition(".")[2] for name in own}
    tensors = {name: value for name, value in tensors.items() if kind.get(name) not in TABLES}
    constants = {name: own[name] for name in own if kind[name] in _CONSTANTS}
    tables = {name: own[name] for name in own if kind[name] in TABLES}
    load_strictly(network, constants | tensors | tables, path, spec)
    return network.eval().requires_grad_(False)


_PARAMETERS = {
    r"\.gamma$": ".gain",
    r"\.beta$": ".bias",
    # Of the prior: CompressAI's old names, and Justin Tan's.
    r"\.(_matrix|H_)(\d)$": r".matrices.\2",
    r"\.(_bias|b_)(\d)$": r".biases.\2",
    r"\.(_factor|a_)(\d)$": r".factors.\2",
}


def _renamed(name: str, modules: dict[str, str]) -> str:
    """A name of the file as ours; what belongs to no known module keeps its name, and will be a strange one."""
    for theirs, ours in modules.items():
        if name.startswith(theirs + "."):
            name = ours + name.removeprefix(theirs)
            for pattern, parameter in _PARAMETERS.items():
                name = re.sub(pattern, parameter, name)
            return name
    return name
