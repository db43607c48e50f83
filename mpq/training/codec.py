"""Training a codec: rate against distortion, and for HiFiC a second stage against a discriminator.

The loss is λ·R + d (Ballé et al. 2018; HiFiC, equation 5): R is the rate in bits per pixel under uniform
noise, d is 0.01·MSE for the hyperprior and 0.075·2⁻⁵·MSE + k_P·ST-LPIPS + 0.15·G for HiFiC, with MSE on 0–255.
Where a rate is asked for, λ follows it: HiFiC's switch between two λ's, made smooth. What a step draws
depends on the seed and the step alone, so a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpq.errors import UserError
from mpq.networks import trained
from mpq.training import checkpoints
from mpq.training.adversary import Discriminator, discriminator_loss, generator_loss
from mpq.training.perceptual import PERCEPTUAL, perceptual
from mpq.training.pictures import crops, gather, whole
from mpq.weights.sources import load_strictly

MSE_WEIGHT = {"mean-scale-hyperprior": 0.01, "hific": 0.075 * 2**-5}
ADVERSARIAL_WEIGHT = 0.15
CONTROL = 0.005
"""How far log λ moves a step for each relative error of the rate."""
CONTROL_FROM = 400
"""Steps before which λ stays: a fresh network's rate tells nothing."""
SMOOTHING = 0.98
"""Of the running means of rate and distortion."""
CLIP = 1.0
"""Gradient norm beyond which steps are shortened."""
GIVE_UP = 100
"""Steps in a row without finite gradients after which a run ends."""
LAMBDA_RANGE = (1e-4, 1e4)
"""λ follows the rate within these: some rates cannot be had."""
QUANTILES_RATE = 1e-3
"""Step size of the factorised prior's quantiles, which only place its table."""


@dataclass(frozen=True)
class Recipe:
    """All that shapes a run. Two runs with equal recipes on one machine give equal weights.

    rate: bits per pixel aimed at on the held-out pictures, or None where ``rate_weight`` (λ) is fixed.
    steps, adversarial_steps: of the first and second stage. perceptual_crops: how many of a batch's crops
    the perceptual term sees, perceptual_weight: its k_P. ema: decay of the weights' running mean, which is what is kept.
    """

    architecture: str
    data: tuple[str, ...]
    rate: float | None = None
    rate_weight: float = 2.0
    steps: int = 20_000
    adversarial_steps: int = 0
    batch: int = 8
    crop: int = 128
    learning_rate: float = 4e-4
    perceptual: str = "st-lpips"
    perceptual_crops: int = 8
    perceptual_weight: float = 1.0
    discriminator_width: int = 32
    ema: float = 0.999
    held_out: int = 16
    every: int = 500
    seed: int = 0
    sizes: dict[str, Any] = field(default_factory=dict)
    initial: str | None = None

    @property
    def total(self) -> int:
        return self.steps + self.adversarial_steps


@dataclass(frozen=True)
class Progress:
    """After a step: running means on crops, and, every so often, what the kept weights do to held-out pictures.

    rates in bits per pixel, psnr in dB (of the corpus's mean squared error over 0–255). seconds: of training.
    """

    step: int
    rate: float
    mse: float
    perceptual: float
    rate_weight: float
    seconds: float
    held_out_rate: float | None = None
    held_out_psnr: float | None = None

    @property
    def sentence(self) -> str:
        return (
            f"step {self.step:,}: held out {self.held_out_rate:.3f} bpp, {self.held_out_psnr:.2f} dB; "
            f"crops {self.rate:.3f} bpp, {10 * math.log10(255**2 / self.mse):.2f} dB"
            f"{f', perceptual {self.perceptual:.4f}' if self.perceptual else ''}; λ {self.rate_weight:.3g}; "
            f"{self.seconds / 60:.0f} minutes"
        )


class Run:
    """A training run in a folder: ``checkpoint.pt``, ``log.jsonl`` and, at the end, ``weights.safetensors``."""

    def __init__(self, recipe: Recipe, folder: Path, device: str) -> None:
        self.recipe, self.folder, self.device = recipe, folder, device
        if recipe.crop % 64:
            raise UserError(f"crops are multiples of 64, not {recipe.crop}")
        if not recipe.total:
            raise UserError("a run needs steps")
        if recipe.perceptual not in PERCEPTUAL:
            raise UserError(
                f"unknown perceptual distance '{recipe.perceptual}'; there are: {', '.join(PERCEPTUAL)}"
            )
        if recipe.adversarial_steps and recipe.architecture != "hific":
            raise UserError("only hific has an adversarial stage")
        pictures = gather([Path(d) for d in recipe.data], recipe.crop, recipe.held_out, recipe.seed)
        self.pictures = pictures
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"'{folder}' cannot be made: {error.strerror}") from None
        torch.manual_seed(recipe.seed)
        sizes = trained.ARCHITECTURES.get(recipe.architecture, {}) | recipe.sizes
        self.network: Any = trained.build(recipe.architecture, sizes).to(device)
        self.network.to(memory_format=torch.channels_last)  # a tenth faster on CPUs, more on GPUs
        self.configuration = sizes
        self.before: list[dict[str, Any]] = []
        if recipe.initial and not self.checkpoint.exists():
            self._warm_start(Path(recipe.initial))
        self.average: Any = trained.build(recipe.architecture, sizes).to(device).requires_grad_(False).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.adversary: Any = (
            Discriminator(self.network.shape.latent, recipe.discriminator_width).to(device)
            if recipe.adversarial_steps
            else None
        )
        named = dict(self.network.named_parameters())
        quantiles = [p for n, p in named.items() if n.endswith("quantiles")]
        self.optimisers = {
            "main": torch.optim.Adam([p for n, p in named.items() if not n.endswith("quantiles")]),
            "quantiles": torch.optim.Adam(quantiles, lr=QUANTILES_RATE),
        }
        if self.adversary is not None:
            self.optimisers["adversary"] = torch.optim.Adam(self.adversary.parameters(), betas=(0.5, 0.999))
        self.distance = perceptual(recipe.perceptual, device) if recipe.architecture == "hific" else None
        self.step = 0
        self.state: dict[str, float] = {
            "rate": math.nan,
            "mse": math.nan,
            "perceptual": math.nan,
            "log_weight": math.log(recipe.rate_weight),
            "target": recipe.rate or math.nan,
            "seconds": 0.0,
            "skipped": 0,
        }

    def _warm_start(self, path: Path) -> None:
        if path.suffix != ".safetensors":
            raise UserError(f"'{path}' is no .safetensors file of weights to start from")
        other = trained.load(path)
        card = trained.read_header(path)[2]
        kept = ("rate", "steps", "adversarial_steps", "perceptual_weight", "hours")
        earlier = card.get("initial")
        self.before = [*(earlier if isinstance(earlier, list) else []), {key: card.get(key) for key in kept}]
        # Tables are not weights: this run makes its own from those.
        load_strictly(
            self.network, self.network.state_dict() | trained.weights_of(other), path, "this run's sizes"
        )

    @property
    def _digest(self) -> str:
        """Of which pictures there are: a step draws from them by their place in the list."""
        names = [path.name for path in (*self.pictures.training, *self.pictures.held_out)]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def resume(self) -> None:
        """Takes up the folder's checkpoint, if there is one. Raises UserError where it is another recipe's."""
        names = {"network", "average", "step", "state", "before"}
        saved = checkpoints.read(self.checkpoint, self.recipe, self._digest, names, "mpq train codec")
        if saved is None:
            return
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        if self.adversary is not None:
            self.adversary.load_state_dict(saved["adversary"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(saved["optimisers"][name])
        self.step, self.state, self.before = saved["step"], saved["state"], saved["before"]

    def save(self) -> None:
        held = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "adversary": self.adversary.state_dict() if self.adversary is not None else None,
            "optimisers": {name: o.state_dict() for name, o in self.optimisers.items()},
            "step": self.step,
            "state": self.state,
            "before": self.before,
        }
        checkpoints.write(self.checkpoint, self.recipe, self._digest, held)

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    def steps(self) -> Iterator[Progress]:
        """Trains to the end, with a checkpoint at every evaluation, and writes the weights."""
        recipe = self.recipe
        while self.step < recipe.total:
            start = time.perf_counter()
            self._step()
            self.step += 1
            self.state["seconds"] += time.perf_counter() - start
            if self.step % recipe.every and self.step < recipe.total:
                yield self._progress()
                continue
            rate, psnr = self.evaluate()
            if recipe.rate and self.state["rate"] > 0:
                # Crops are busier than whole pictures: what counts is the rate of the latter.
                self.state["target"] = recipe.rate * min(3.0, max(0.3, self.state["rate"] / rate))
            progress = self._progress(rate, psnr)
            self.save()
            try:
                with (self.folder / "log.jsonl").open("a") as log:
                    log.write(json.dumps(asdict(progress)) + "\n")
            except OSError as error:
                raise UserError(
                    f"'{self.folder / 'log.jsonl'}' cannot be written: {error.strerror}"
                ) from None
            yield progress
        trained.save(self.weights, self.average, recipe.architecture, self.configuration, self.card())

    def card(self) -> dict[str, Any]:
        facts = asdict(self.recipe)
        facts["data"] = ["/".join(Path(d).parts[-2:]) for d in self.recipe.data]
        facts["initial"] = self.before
        return facts | {
            "pictures": len(self.pictures.training),
            "hours": round(self.state["seconds"] / 3600, 2),
            "final_rate_weight": round(math.exp(self.state["log_weight"]), 4),
        }

    def _progress(self, rate: float | None = None, psnr: float | None = None) -> Progress:
        s = self.state
        weight = math.exp(s["log_weight"])
        return Progress(
            self.step, s["rate"], s["mse"], s["perceptual"], weight, round(s["seconds"], 1), rate, psnr
        )

    def _learning_rate(self) -> float:
        """A cosine from the recipe's down to a fiftieth of it, in each stage anew; the second starts at half."""
        recipe = self.recipe
        if self.step < recipe.steps:
            done, peak = self.step / recipe.steps, recipe.learning_rate
        else:
            done, peak = (self.step - recipe.steps) / recipe.adversarial_steps, recipe.learning_rate / 2
        warm = min(1.0, (self.step + 1) / 200)
        return warm * peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))

    def _step(self) -> None:
        recipe = self.recipe
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        x = crops(self.pictures.training, recipe.batch, recipe.crop, recipe.seed, self.step)
        x = x.to(self.device, memory_format=torch.channels_last)
        adversarial = self.adversary is not None and self.step >= recipe.steps
        for name in ("main", "adversary"):
            for group in self.optimisers[name].param_groups if name in self.optimisers else ():
                group["lr"] = self._learning_rate()

        out = self.network(x)
        if adversarial:
            self._adversary_step(x, out)
        pixels = x.shape[0] * x.shape[2] * x.shape[3]
        rate = torch.stack([-torch.log2(p).sum() for p in out["likelihoods"].values()]).sum() / pixels
        mse = torch.mean((out["x_hat"] - x) ** 2) * 255**2
        loss = math.exp(self.state["log_weight"]) * rate + MSE_WEIGHT[recipe.architecture] * mse
        deep = torch.zeros(())
        if self.distance is not None:
            n = min(recipe.perceptual_crops, len(x))
            deep = self.distance(x[:n], out["x_hat"][:n])
            loss = loss + recipe.perceptual_weight * deep
        if adversarial:
            loss = loss + ADVERSARIAL_WEIGHT * generator_loss(self.adversary(out["x_hat"], out["y_hat"]))
        self.optimisers["main"].zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(
            [p for g in self.optimisers["main"].param_groups for p in g["params"]], CLIP
        )
        if torch.isfinite(norm):
            self.optimisers["main"].step()
            self.state["skipped"] = 0
        else:
            self.state["skipped"] += 1
            if self.state["skipped"] >= GIVE_UP:
                raise UserError(
                    f"{GIVE_UP} steps in a row had gradients that are no numbers; lower --learning-rate"
                )
        auxiliary = torch.stack([m.loss() for m in self.network.modules() if hasattr(m, "quantiles")]).sum()
        self.optimisers["quantiles"].zero_grad()
        auxiliary.backward()
        self.optimisers["quantiles"].step()
        self._follow({"rate": rate.item(), "mse": mse.item(), "perceptual": deep.item()})

    def _adversary_step(self, x: Tensor, out: dict[str, Any]) -> None:
        real = self.adversary(x, out["y_hat"])
        generated = self.adversary(out["x_hat"].detach(), out["y_hat"])
        self.optimisers["adversary"].zero_grad()
        discriminator_loss(real, generated).backward()
        if torch.isfinite(nn.utils.clip_grad_norm_(self.adversary.parameters(), 10 * CLIP)):
            self.optimisers["adversary"].step()

    def _follow(self, measured: dict[str, float]) -> None:
        """Running means, the weights' running mean, and λ's way towards the rate."""
        for key, value in measured.items():
            if math.isfinite(value):
                old = self.state[key]
                self.state[key] = value if math.isnan(old) else SMOOTHING * old + (1 - SMOOTHING) * value
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mine, other in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mine.lerp_(other, 1 - decay)
        if self.recipe.rate and self.step >= CONTROL_FROM:
            error = self.state["rate"] / self.state["target"] - 1
            wanted = self.state["log_weight"] + CONTROL * max(-1.0, min(1.0, error))
            self.state["log_weight"] = max(math.log(LAMBDA_RANGE[0]), min(math.log(LAMBDA_RANGE[1]), wanted))

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """bpp (from likelihoods of rounded latents) and dB of the kept weights over the held-out pictures."""
        bits, error, pixels = 0.0, 0.0, 0
        for path in self.pictures.held_out:
            x = whole(path)
            if x is None:
                continue
            height, width = (side // 64 * 64 for side in x.shape[2:])  # a crop at least, so 64 at least
            x = x[:, :, :height, :width].to(self.device)
            out = self.average(x)
            shown = out["x_hat"].clamp(0, 1)
            bits += sum(-torch.log2(p).sum().item() for p in out["likelihoods"].values())
            error += torch.sum((torch.round(255 * shown) - torch.round(255 * x)) ** 2).item()
            pixels += height * width
        if not pixels:
            raise UserError("none of the held-out pictures can be read")
        return bits / pixels, 10 * math.log10(255**2 / max(1e-9, error / (3 * pixels)))
