"""ST-LPIPS against the code that was published with its weights, run beside it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mpq.metrics.stlpips import FILE, PACKAGE, STLPIPS, stlpips
from mpq.samples import read_image
from mpq.weights.sources import locate, sha256_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network(one_thread: None) -> STLPIPS:
    return stlpips()


@pytest.fixture(scope="module")
def published(one_thread: None) -> Iterator[Callable[[Tensor, Tensor], Tensor]]:
    """The wheel's own network. It imports two packages that it does not need for this, so they are empty here."""
    with pytest.MonkeyPatch.context() as patch:
        for name, attribute in (("IPython", "embed"), ("torchsummary", "summary")):
            module = ModuleType(name)
            setattr(module, attribute, None)
            patch.setitem(sys.modules, name, module)
        own = [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
        wheel = importlib.import_module(f"{PACKAGE}.stlpips").LPIPS(
            net="alex", variant="shift_tolerant", verbose=False
        )
        wheel.eval().requires_grad_(False)
        yield lambda a, b: wheel(a, b, normalize=True).flatten()
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE and name not in own]:
            del sys.modules[name]


def random(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def pairs(photographs: list[Path]) -> dict[str, tuple[Tensor, Tensor]]:
    photograph = torch.stack(
        [
            torch.from_numpy(
                np.array(read_image(path.read_bytes()).image.resize((96, 64), Image.Resampling.BOX))
            )
            for path in photographs[:2]
        ]
    )
    photograph = photograph.permute(0, 3, 1, 2) / 255
    return {
        "noise": (random(2, 3, 64, 64), random(2, 3, 64, 64, seed=1)),
        "odd sides": (random(1, 3, 33, 71), random(1, 3, 33, 71, seed=1)),
        "the smallest": (random(3, 3, 32, 32), random(3, 3, 32, 32, seed=1)),
        "quantised": (photograph, torch.round(photograph * 8) / 8),
        "shifted": (photograph, photograph.roll(1, dims=3)),
        "two photographs": (photograph[:1], photograph[1:]),
        "black and white": (torch.zeros(1, 3, 48, 48), torch.ones(1, 3, 48, 48)),
        "black and noise": (torch.zeros(1, 3, 48, 48), random(1, 3, 48, 48)),
    }


KINDS = [
    "noise",
    "odd sides",
    "the smallest",
    "quantised",
    "shifted",
    "two photographs",
    "black and white",
    "black and noise",
]


@pytest.mark.parametrize("kind", KINDS)
def test_distances_are_those_of_the_published_code(
    kind: str, network: STLPIPS, published: Callable[[Tensor, Tensor], Tensor], photographs: list[Path]
) -> None:
    a, b = pairs(photographs)[kind]
    with torch.inference_mode():
        found, expected = network(a, b), published(a.clone(), b.clone())
    assert found.shape == (len(a),) and (expected > 1e-4).all()
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_the_published_weights_are_the_wheels() -> None:
    path = locate(PACKAGE, FILE)
    assert path is not None and path.name == "alex_shift_tolerant.pth"
    assert sha256_of(path).startswith("b356b382")


def test_equal_pictures_are_at_no_distance_and_the_order_does_not_matter(
    network: STLPIPS, photographs: list[Path]
) -> None:
    for a, b in pairs(photographs).values():
        with torch.inference_mode():
            assert network(a, a).tolist() == [0] * len(a)
            assert torch.equal(network(a, b), network(b, a))


def test_a_distance_does_not_depend_on_who_else_is_in_the_batch(network: STLPIPS) -> None:
    a, b = random(3, 3, 40, 56), random(3, 3, 40, 56, seed=1)
    with torch.inference_mode():
        alone = [float(network(a[i : i + 1], b[i : i + 1])) for i in range(3)]
        assert network(a, b).tolist() == pytest.approx(alone, rel=1e-4)


def test_more_damage_is_a_larger_distance(network: STLPIPS, photographs: list[Path]) -> None:
    picture, _ = pairs(photographs)["quantised"]
    with torch.inference_mode():
        distances = [network(picture, torch.round(picture * n) / n) for n in (64, 16, 4, 2)]
    for better, worse in pairwise(distances):
        assert (better < worse).all()


@pytest.mark.parametrize("kind", ["black", "white", "noise", "the same"])
def test_its_gradient_is_a_number_for_any_picture(kind: str, network: STLPIPS) -> None:
    target = random(1, 3, 48, 48)
    start = {"black": torch.zeros, "white": torch.ones}.get(kind, lambda *size: random(*size, seed=1))(
        1, 3, 48, 48
    )
    x = (target.clone() if kind == "the same" else start).requires_grad_()
    for other in (target, torch.zeros_like(target)):
        x.grad = None
        network(x, other).sum().backward()
        assert x.grad is not None and torch.isfinite(x.grad).all()
        if kind == "noise":
            assert x.grad.abs().max() > 0


def test_its_gradient_is_a_number_where_no_feature_answers() -> None:
    mute = stlpips()
    for name, parameter in mute.named_parameters():
        if name.endswith("bias") or name == "net.slice1.0.weight":
            parameter.zero_()
    assert all(not features.any() for features in mute.features(random(1, 3, 48, 48)))
    x = random(1, 3, 48, 48).requires_grad_()
    mute(x, random(1, 3, 48, 48, seed=1)).sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_its_weights_stay_as_they_are(network: STLPIPS) -> None:
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_descending_it_brings_pictures_nearer(network: STLPIPS) -> None:
    target, x = random(1, 3, 48, 48), torch.full((1, 3, 48, 48), 0.5).requires_grad_()
    first = float(network(x, target).detach())
    for _ in range(3):
        (gradient,) = torch.autograd.grad(network(x, target).sum(), x)
        x = (x - 0.02 * gradient.sign()).clamp(0, 1).detach().requires_grad_()
    assert float(network(x, target).detach()) < first
