"""Deep similarities against torchmetrics' and the authors' own code, on the same weights: random ones, in a seeded cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from mpq.codecs.base import parse_codec
from mpq.errors import UserError
from mpq.metrics import backbones, deep
from mpq.metrics.deep import MEASURES, dists, lpips_alex, lpips_vgg, st_lpips
from mpq.metrics.dists import dists as dists_network
from mpq.metrics.lpips import lpips as lpips_network
from mpq.metrics.stlpips import stlpips
from mpq.samples import ImageSample, read_image
from mpq.training.perceptual import perceptual
from mpq.weights.sources import sha256_of

pytestmark = pytest.mark.usefixtures("one_thread")

BY_NAME = {measure.name: measure for measure in MEASURES}
OURS = {"lpips-alex": lpips_alex, "lpips-vgg": lpips_vgg, "dists": dists}
BACKBONES = {"lpips-alex": "alexnet", "lpips-vgg": "vgg16", "dists": "vgg16"}


@dataclass(frozen=True)
class Cache:
    """files, layers: of the backbones' names; the layers with the weights in the files."""

    files: dict[str, Path]
    layers: dict[str, nn.Sequential]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Iterator[Cache]:
    """torch.hub's cache with files in torchvision's form, whose names have their own hashes."""
    pytest.importorskip("torchmetrics")
    home = tmp_path_factory.mktemp("torch")
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    files, layers = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        for name in backbones.URLS:
            with torch.device("meta"):
                layers[name] = getattr(torchvision.models, name)(weights=None).features
            layers[name] = layers[name].to_empty(device="cpu").eval().requires_grad_(False)
            generator = torch.Generator().manual_seed(0)
            for key, value in layers[name].state_dict().items():
                scale = (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1
                value.copy_(torch.randn(value.shape, generator=generator) * scale)
                assert key.endswith(("weight", "bias"))
            content = {f"features.{key}": value for key, value in layers[name].state_dict().items()}
            torch.save(content | {"classifier.6.bias": torch.zeros(1000)}, folder / "file.pth")
            files[name] = folder / f"{name}-{sha256_of(folder / 'file.pth')[:8]}.pth"
            (folder / "file.pth").rename(files[name])
            patch.setitem(backbones.URLS, name, f"https://download.pytorch.org/models/{files[name].name}")
        clear()
        yield Cache(files, layers)
    clear()


def clear() -> None:
    lpips_network.cache_clear()
    dists_network.cache_clear()


@pytest.fixture(scope="module")
def published(cache: Cache) -> Iterator[dict[str, Callable[[Tensor, Tensor], Tensor]]]:
    """torchmetrics' and, where it is installed, the ``lpips`` package's own networks, given pictures in [0, 1]."""
    from torchmetrics.functional.image.dists import DISTSNetwork
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    found: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, layers in cache.layers.items():
            ready = SimpleNamespace(features=layers)
            patch.setattr(torchvision.models, name, lambda ready=ready, **options: ready)
        patch.setattr("torchmetrics.functional.image.dists.vgg16", torchvision.models.vgg16)
        for variant in ("alex", "vgg"):
            theirs = LearnedPerceptualImagePatchSimilarity(variant, normalize=True).eval()
            found[f"lpips-{variant}"] = lambda a, b, theirs=theirs: theirs.net(a, b, normalize=True)
            if lpips := _authors():
                authors = lpips.LPIPS(net=variant, verbose=False)
                found[f"lpips-{variant} of its authors"] = lambda a, b, authors=authors: authors(
                    2 * a - 1, 2 * b - 1
                )
        network = DISTSNetwork().eval()
        found["dists"] = lambda a, b: network(a, b)
        yield found


def _authors():  # type: ignore[no-untyped-def]
    try:
        import lpips
    except ImportError:
        return None
    return lpips


def noise(width: int, height: int, seed: int = 0) -> ImageSample:
    return ImageSample(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def picture(photographs: list[Path], width: int = 96, height: int = 72) -> ImageSample:
    return ImageSample(np.asarray(read_image(photographs[0].read_bytes()).image.resize((width, height))))


def coded(original: ImageSample, spec: str) -> ImageSample:
    return parse_codec(spec)[0].transmit(original).decoded


def unit(sample: ImageSample) -> Tensor:
    return torch.tensor(sample.pixels).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("kind", ["photograph", "noise", "black and white"])
def test_distances_are_those_of_others_code_on_the_same_weights(
    kind: str, published: dict[str, Callable[[Tensor, Tensor], Tensor]], photographs: list[Path]
) -> None:
    original = picture(photographs)
    white = ImageSample(np.full((72, 96, 3), 255, np.uint8))
    a, b = {
        "photograph": (original, coded(original, "jpeg:quality=5")),
        "noise": (noise(71, 53), noise(71, 53, 1)),
        "black and white": (ImageSample(np.zeros((72, 96, 3), np.uint8)), white),
    }[kind]
    for name, theirs in published.items():
        with torch.inference_mode():
            expected = float(theirs(unit(a), unit(b)))
        assert expected > 1e-4
        assert OURS[name.partition(" ")[0]](a, b) == pytest.approx(expected, rel=1e-3, abs=1e-6), name


@pytest.mark.parametrize("name", ["lpips-alex", "lpips-vgg", "dists"])
def test_a_wrong_backbone_is_refused(name: str, cache: Cache) -> None:
    clear()
    file = cache.files[BACKBONES[name]]
    data = file.read_bytes()
    try:
        file.write_bytes(data[:-1])
        with pytest.raises(UserError, match="damaged"):
            BY_NAME[name].measure(noise(40, 40), noise(40, 40))
    finally:
        file.write_bytes(data)


@pytest.mark.parametrize("name", ["lpips-alex", "lpips-vgg", "dists"])
def test_missing_weights_are_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torchmetrics")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(backbones, "unreachable", lambda host: f"{host} does not answer; what is local works")
    why = BY_NAME[name].unavailable()
    file = backbones.URLS[BACKBONES[name]].rsplit("/", 1)[-1]  # type: ignore[index]
    assert why is not None and f"/{file} as {tmp_path}/hub/checkpoints/{file}" in why
    path = tmp_path / "hub" / "checkpoints" / file
    path.parent.mkdir(parents=True)
    path.touch()
    assert BY_NAME[name].unavailable() is None
    monkeypatch.setattr(deep, "find_spec", lambda package: None)
    assert "pip install 'machine-perceptual-quality[lpips]'" in str(BY_NAME[name].unavailable())


@pytest.mark.parametrize(
    ("name", "least"), [("lpips-alex", 31), ("lpips-vgg", 16), ("dists", 16), ("st-lpips", 32)]
)
def test_the_smallest_picture_has_a_distance_and_a_smaller_one_none(
    name: str, least: int, cache: Cache
) -> None:
    measure = BY_NAME[name].measure
    for width, height in ((least, least), (least, 3 * least)):
        assert measure(noise(width, height), noise(width, height)) == 0
        assert measure(noise(width, height), noise(width, height, 1)) > 1e-3
    for width, height in ((least - 1, 3 * least), (3 * least, least - 1), (1, 1)):
        assert measure(noise(width, height), noise(width, height)) is None


def test_dists_of_nearly_equal_pictures_is_not_below_0(cache: Cache) -> None:
    picture = unit(noise(40, 40))
    with torch.inference_mode():
        for strength in (0, 1e-7, 1e-6, 1e-5):
            assert dists_network()(picture, picture + strength) >= 0


def test_networks_that_have_measured_let_gradients_through(cache: Cache) -> None:
    clear()
    for measure in (lpips_alex, lpips_vgg, dists):
        assert measure(noise(40, 40), noise(40, 40, 1))
    losses = [perceptual("lpips", "cpu"), lpips_network("vgg"), dists_network()]
    for loss in losses:
        assert loss is not None
        decoded = unit(noise(40, 40, 1)).requires_grad_()
        loss(unit(noise(40, 40)), decoded).sum().backward()
        assert decoded.grad is not None and decoded.grad.abs().sum() > 0


def test_a_training_loss_elsewhere_leaves_the_measure_where_it_is(cache: Cache) -> None:
    before = lpips_alex(noise(40, 40), noise(40, 40, 1))
    assert perceptual("lpips", "meta") is not None
    assert lpips_alex(noise(40, 40), noise(40, 40, 1)) == before


def test_st_lpips_is_its_network_given_pictures_from_0_to_1(photographs: list[Path]) -> None:
    original = picture(photographs, 150, 111)
    decoded = coded(original, "jpeg:quality=10")
    with torch.inference_mode():
        expected = float(stlpips()(unit(original), unit(decoded)))
    assert st_lpips(original, decoded) == pytest.approx(expected, rel=1e-4)


def test_st_lpips_grows_with_the_strength_of_jpeg(photographs: list[Path]) -> None:
    original = picture(photographs, 150, 111)
    values = [st_lpips(original, coded(original, f"jpeg:quality={q}")) for q in (90, 50, 20, 5)]
    assert st_lpips(original, original) == 0
    for better, worse in pairwise(values):
        assert better is not None and worse is not None and better < worse


def test_the_published_heads_weigh_no_difference_negatively() -> None:
    pytest.importorskip("torchmetrics")
    from mpq.metrics.dists import CHANNELS, SHA256
    from mpq.metrics.lpips import VARIANTS
    from mpq.weights.sources import in_wheel, read_tensors

    for name, variant in VARIANTS.items():
        heads = read_tensors(
            in_wheel("torchmetrics", f"functional/image/lpips_models/{name}.pth", variant.sha256)
        )
        assert all((head >= 0).all() for head in heads.values())
    weights = read_tensors(in_wheel("torchmetrics", "functional/image/dists_models/weights.pt", SHA256))
    assert weights["alpha"].numel() == weights["beta"].numel() == sum(CHANNELS)
