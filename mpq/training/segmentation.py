"""Training a segmenter: a head on frozen features, by cross-entropy and a soft Jaccard loss, chosen on pictures that
no step sees.

The loss is the cross-entropy, classes weighted by (median frequency / frequency)^balance, plus ``jaccard`` times
1 − the mean over the batch's classes of Σ p·t / Σ (p + t − p·t) (Rahman and Wang 2016), which is what mIoU is of
whole masks. What a step draws depends on the seed and the step alone, so a run that was killed goes on as if it
had not been.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mpq.errors import UserError
from mpq.metrics.segmentation import class_counts, class_iou, mean_iou
from mpq.models.segmentation.base import mask_of
from mpq.networks import segmenter
from mpq.networks.segmenter import Head, Network, Shape, Trunk
from mpq.paths import user_path
from mpq.training import checkpoints
from mpq.training.scenes import Census, Gallery, Views, crops, parts

CLIP = 1.0
"""Gradient norm beyond which steps are shortened."""
WARM = 50
"""Steps in which the learning rate grows to its peak."""


@dataclass(frozen=True)
class Recipe:
    """All that shapes a run. Two runs with equal recipes on one machine give equal weights.

    data: a folder that a segmentation data set's reader recognises. crop, pixels, zoom, light, sought: as in ``Views``.
    width: channels of the head's coarse levels. balance: 0 is plain cross-entropy, 1 weighs
    classes alike. ema: decay of the weights' running mean, which is what is kept. held_out: the share of the
    pictures that is chosen on, where the data has no part for that.
    """

    data: str
    steps: int = 3000
    batch: int = 4
    crop: tuple[int, int] = (480, 352)
    zoom: tuple[float, float] = (0.6, 1.3)
    light: float = 0.4
    sought: float = 0.5
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    balance: float = 0.4
    jaccard: float = 1.0
    ema: float = 0.995
    width: int = 128
    pixels: int = 768 * 576
    held_out: float = 0.125
    every: int = 250
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """After a step: the loss's running mean, and, every so often, what the kept weights do on held-out pictures.

    miou, accuracy: in [0, 1]; ious: of each class, NaN where there is none of it. best: the highest miou so far.
    seconds: of training.
    """

    step: int
    loss: float
    seconds: float
    miou: float | None = None
    accuracy: float | None = None
    ious: tuple[float, ...] = ()
    best: float | None = None

    @property
    def sentence(self) -> str:
        if self.miou is None or self.accuracy is None:
            return f"step {self.step:,}: loss {self.loss:.3f}"
        return (
            f"step {self.step:,}: held out mIoU {self.miou:.4f} (best {self.best:.4f}), "
            f"pixels {self.accuracy:.4f}; loss {self.loss:.3f}; {self.seconds / 60:.0f} minutes"
        )


def train_segmentation(recipe: Recipe, folder: Path, device: str) -> Iterator[Progress]:
    """Trains in ``folder``, from its checkpoint where there is one, to ``weights.safetensors``. Raises UserError."""
    run = Run(recipe, folder, device)
    run.resume()
    return run.steps()


class Run:
    """A training run in a folder: ``checkpoint.pt``, ``log.jsonl`` and ``weights.safetensors``, the best so far."""

    def __init__(self, recipe: Recipe, folder: Path, device: str) -> None:
        self.recipe, self.folder, self.device = recipe, folder, device
        if recipe.steps < 1 or recipe.batch < 2:
            raise UserError("a run needs steps, and batches of two pictures at least")
        if any(side < 64 or side % segmenter.MULTIPLE for side in recipe.crop):
            raise UserError(f"a crop's sides are multiples of 32 from 64 on, not {recipe.crop}")
        self.training, self.choosing = parts(recipe.data, recipe.held_out, recipe.seed)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"'{folder}' cannot be made: {error.strerror}") from None
        self.views = Views(recipe.crop, recipe.pixels, recipe.zoom, recipe.light, recipe.sought)
        self.gallery, self.choices = Gallery(self.training), Gallery(self.choosing)
        self.census = Census(self.gallery, recipe.seed)
        self.shape = Shape(len(self.training.classes), recipe.width, recipe.pixels)
        torch.manual_seed(recipe.seed)
        self.head = Head(self.shape).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.head).eval().requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self.trunk = segmenter.fold(Trunk()).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weights_of_classes = self._class_weights().to(device)
        matrices = [p for p in self.head.parameters() if p.ndim > 1]
        vectors = [p for p in self.head.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": recipe.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ]
        )
        self.step = 0
        self.state: dict[str, Any] = {"loss": math.nan, "seconds": 0.0, "best": -1.0, "best_step": 0}

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    def _class_weights(self) -> Tensor:
        """(classes,) with a mean of 1 over pixels; a class that no mask of the census has weighs nothing."""
        counts = self.census.counts
        if not counts.any():
            raise UserError(f"none of the masks of '{self.recipe.data}' can be read, or none has a class")
        share = counts / counts.sum()
        present = share > 0
        weights = np.zeros(len(share))
        weights[present] = (np.median(share[present]) / share[present]) ** self.recipe.balance
        return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)

    def resume(self) -> None:
        """Takes up the folder's checkpoint, if there is one. Raises UserError where it is another recipe's."""
        names = {"head", "average", "best", "optimiser", "step", "state"}
        saved = checkpoints.read(self.checkpoint, self.recipe, self._digest, names, "mpq train segmentation")
        if saved is None:
            return
        for name in ("head", "average", "best", "optimiser"):
            getattr(self, name).load_state_dict(saved[name])
        self.step, self.state = saved["step"], saved["state"]

    @property
    def _digest(self) -> str:
        """Of which pictures there are: a step draws from them by their place in the list."""
        names = [source.id for part in (self.training, self.choosing) for source in part.sources]
        return hashlib.sha256("\n".join((*self.training.classes, *names)).encode()).hexdigest()

    def save(self) -> None:
        held = {name: getattr(self, name).state_dict() for name in ("head", "average", "best", "optimiser")}
        checkpoints.write(
            self.checkpoint, self.recipe, self._digest, held | {"step": self.step, "state": self.state}
        )

    def steps(self) -> Iterator[Progress]:
        """Trains to the end; at every evaluation a checkpoint, and the weights where they are the best so far."""
        recipe = self.recipe
        while self.step < recipe.steps:
            start = time.perf_counter()
            self._step()
            self.step += 1
            self.state["seconds"] += time.perf_counter() - start
            if self.step % recipe.every and self.step < recipe.steps:
                yield self._progress()
                continue
            miou, accuracy, ious = self.evaluate()
            if miou > self.state["best"]:
                self.state |= {"best": miou, "best_step": self.step}
                self.best.load_state_dict(self.average.state_dict())
            progress = replace(
                self._progress(), miou=miou, accuracy=accuracy, ious=ious, best=self.state["best"]
            )
            self.save()
            segmenter.save(self.weights, self.best, self.shape, self.training.classes, self.card())
            try:
                with (self.folder / "log.jsonl").open("a") as log:
                    log.write(json.dumps(asdict(progress)) + "\n")
            except OSError as error:
                raise UserError(
                    f"'{self.folder / 'log.jsonl'}' cannot be written: {error.strerror}"
                ) from None
            yield progress

    def card(self) -> dict[str, Any]:
        return asdict(self.recipe) | {
            "data": "/".join(user_path(self.recipe.data).resolve().parts[-2:]),
            "pictures": len(self.training.sources),
            "chosen_on": len(self.choosing.sources),
            "best_step": self.state["best_step"],
            "held_out_miou": round(self.state["best"], 4),
            "hours": round(self.state["seconds"] / 3600, 2),
        }

    def _progress(self) -> Progress:
        return Progress(self.step, self.state["loss"], round(self.state["seconds"], 1))

    def _step(self) -> None:
        recipe = self.recipe
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / recipe.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, (self.step + 1) / WARM) * (0.01 + 0.99 * cosine)
        x, truth = crops(self.gallery, self.census, self.views, recipe.batch, recipe.seed, self.step)
        truth = truth.to(self.device)
        with torch.no_grad():
            maps = self.trunk(x.to(self.device, memory_format=torch.channels_last))
        logits = functional.interpolate(
            self.head.train()(maps), size=truth.shape[1:], mode="bilinear", align_corners=False
        )
        loss = segmentation_loss(
            logits, truth, self.weights_of_classes, recipe.jaccard, self.training.ignored
        )
        self.optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.head.parameters(), CLIP)
        if torch.isfinite(norm):
            self.optimiser.step()
            old, new = self.state["loss"], loss.item()
            self.state["loss"] = new if math.isnan(old) else 0.98 * old + 0.02 * new
        decay = min(recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            mine, other = self.average.state_dict(), self.head.state_dict()
            for name, value in mine.items():
                if value.is_floating_point():
                    value.lerp_(other[name], 1 - decay)

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float, tuple[float, ...]]:
        """mIoU, pixel accuracy and each class's IoU of the running mean's weights on the held-out pictures."""
        network = Network(self.trunk, self.average)
        intersections, unions = np.zeros((2, self.shape.classes), np.int64)
        correct = labelled = 0
        for place in range(len(self.choices)):
            pair = self.choices.read(place)
            if pair is None:
                continue
            picture, truth = pair
            x = segmenter.prepare(picture, self.shape.pixels)[None]
            logits = network(x.to(self.device, memory_format=torch.channels_last))[0]
            shape = (truth.shape[0], truth.shape[1])
            counts = class_counts(truth, mask_of(logits, shape), self.shape.classes, self.choosing.ignored)
            intersections += counts.intersections
            unions += counts.unions
            correct, labelled = correct + counts.correct, labelled + counts.labelled
        score = mean_iou(intersections, unions)
        if score is None:
            raise UserError("none of the held-out pictures can be read, or none has a labelled pixel")
        return score, correct / labelled, tuple(class_iou(intersections, unions).tolist())


def segmentation_loss(logits: Tensor, truth: Tensor, weights: Tensor, jaccard: float, ignored: int) -> Tensor:
    """The loss above of (B, C, h, w) logits and (B, h, w) truths, over the pixels that are not ``ignored``."""
    labelled = (truth != ignored)[:, None]
    if not labelled.any():
        return logits.sum() * 0.0
    loss = functional.cross_entropy(logits, truth, weights, ignore_index=ignored)
    if not jaccard:
        return loss
    classes = logits.shape[1]
    true = functional.one_hot(truth.clamp(max=classes - 1), classes).permute(0, 3, 1, 2) * labelled
    likely = logits.softmax(dim=1) * labelled
    shared = (likely * true).sum(dim=(0, 2, 3))
    either = (likely + true).sum(dim=(0, 2, 3)) - shared
    present = true.sum(dim=(0, 2, 3)) > 0
    return loss + jaccard * (1 - (shared + 1) / (either + 1))[present].mean()
