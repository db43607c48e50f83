"""TransReID, CLIP-ReID and OSNet: the published networks' own numbers, and checkpoints as they are published."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mpq.errors import UserError
from reid.backbones.base import Backbone, load_backbone
from reid.networks.clip_reid import ClipReid, ClipResNet, ClipTransformer
from reid.networks.osnet import OSNet
from reid.networks.transreid import ClassToken, Shape, TransReID, resized_positions

SMALL = Shape((64, 32), 16, 128, 2, 2, 512)
"""The architecture of a ViT-B/16, of which a checkpoint of a few hundred kilobytes is made."""


def filled(network: nn.Module) -> nn.Module:
    """With weights by a formula, from the sorted names alone, so that another implementation can be filled alike."""
    for i, (key, value) in enumerate(sorted(network.state_dict().items())):
        if "num_batches" in key:
            continue
        steps = torch.arange(value.numel(), dtype=torch.float64) * (0.37 + 0.01 * (i % 7)) + i
        scale = 0.3 if value.ndim == 1 else max(1, value[0].numel()) ** -0.5
        ones = value.ndim == 1 and key.endswith(("weight", "running_var"))
        value.copy_(float(ones) + scale * torch.sin(steps).view(value.shape))
    return network.eval()


def pictures(height: int, width: int) -> torch.Tensor:
    """(2, 3, height, width) by a formula."""
    y, x = torch.arange(height)[:, None], torch.arange(width)[None]
    waves = [
        torch.sin(y * 0.11 + x * 0.07 * (channel + 1) + shift) for shift in (0.0, 1.0) for channel in range(3)
    ]
    return torch.stack(waves).view(2, 3, height, width)


# What the authors' own programs give on the same weights and pictures: first, second and last number of the first
# picture's feature, the mean absolute number of both; and how many tensors and numbers their state dict has,
# classifiers aside.
Published = tuple[Callable[[], nn.Module], tuple[int, int], list[int], tuple[float, ...], tuple[int, int]]
PUBLISHED: dict[str, Published] = {
    "osnet_x1_0": (
        lambda: OSNet(64), (64, 32), [], (0.80171, 0.86677, 0.0, 0.48632), (565, 2192628),
    ),
    "osnet_x0_75": (
        lambda: OSNet(48), (64, 32), [], (0.5165, 0.0, 1.14303, 0.39925), (565, 1303370),
    ),
    "osnet_x0_5": (
        lambda: OSNet(32), (64, 32), [], (0.2871, 0.0, 0.0, 0.27469), (565, 642146),
    ),
    "osnet_x0_25": (
        lambda: OSNet(16), (64, 32), [], (0.64595, 0.0, 0.0, 0.34638), (565, 208472),
    ),
    "osnet_ibn_x1_0": (
        lambda: OSNet(64, variant="ibn"), (64, 32), [], (2.13162, 0.70043, 1.66346, 0.66571), (566, 2193523),
    ),
    "osnet_ain_x1_0": (
        lambda: OSNet(64, variant="ain"), (64, 32), [], (0.97035, 0.0, 1.43419, 0.63481), (550, 2189679),
    ),
    "transreid baseline": (
        lambda: TransReID(SMALL, parts=False),
        (64, 32), [], (1.1664, -0.85668, 1.13389, 0.90272), (35, 497025),
    ),
    "transreid with parts, cameras and stride 12": (
        lambda: TransReID(Shape((64, 32), 12, 128, 2, 2, 512, cameras=3), parts=True),
        (64, 32), [0, 2], (1.13132, -1.14357, 0.19211, 0.3614), (70, 698245),
    ),
    "transreid for vehicles, after the batch norms, an odd number of patches": (
        lambda: TransReID(Shape((64, 64), 11, 128, 2, 2, 512), parts=True, shift=8, after=True),
        (64, 64), [], (0.48701, -1.0919, 0.30244, 0.38212), (69, 699781),
    ),
    "clip-reid's transformer": (
        lambda: ClipReid(ClipTransformer((64, 32), 16, width=128, projected=64)),
        (64, 32), [], (-1.71209, 1.72865, -0.28325, 0.66061), (162, 2488322),
    ),
    "clip-reid's transformer with cameras and stride 12, after the batch norms": (
        lambda: ClipReid(ClipTransformer((64, 32), 12, width=128, projected=64), cameras=3, after=True),
        (64, 32), [0, 2], (-0.85617, -1.5111, 0.37175, 0.669), (163, 2488962),
    ),
    "clip-reid's resnet": (
        lambda: ClipReid(ClipResNet((64, 32), base=16, blocks=(1, 2, 1, 1), projected=32)),
        (64, 32), [], (0.0, 1.5367, 0.34202, 0.4539), (151, 1340240),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_give_what_their_authors_programs_give(name: str) -> None:
    make, size, cameras, expected, (tensors, numbers) = PUBLISHED[name]
    network = filled(make())
    state = network.state_dict()
    assert (len(state), sum(value.numel() for value in state.values())) == (tensors, numbers)
    with torch.inference_mode():
        features = network(pictures(*size), *([torch.tensor(cameras)] if cameras else []))
    found = (*features[0, [0, 1, -1]].tolist(), features.abs().mean().item())
    assert found == pytest.approx(expected, abs=3e-4)


def test_sizes_of_the_published_features() -> None:
    with torch.device("meta"):
        x = torch.empty(1, 3, 256, 128)
        assert TransReID(Shape(), parts=True).eval()(x).shape == (1, 3840)
        assert TransReID(Shape(stride=12), parts=False).eval()(x).shape == (1, 768)
        assert ClipReid(ClipTransformer((256, 128))).eval()(x).shape == (1, 1280)
        assert ClipReid(ClipResNet((256, 128))).eval()(x).shape == (1, 3072)


def test_a_plain_transformer_is_timms() -> None:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    theirs = VisionTransformer((64, 32), embed_dim=128, depth=2, num_heads=2, num_classes=0).eval()
    own = ClassToken(SMALL).eval()
    own.load_state_dict({f"base.{key}": value for key, value in theirs.state_dict().items()})
    with torch.inference_mode():
        assert own(pictures(64, 32)) == pytest.approx(theirs(pictures(64, 32)), abs=1e-5)


def test_positions_are_resized_between_their_neighbours() -> None:
    square = torch.tensor([[9.0], [0], [1], [2], [3]])[None]  # a token, then 0 1 / 2 3
    made = resized_positions(square, (4, 2))[0, :, 0].tolist()
    # Rows of four lie at −1/4, 1/4, 3/4, 5/4 of the two rows there were, and beyond the outer ones are those.
    assert made == pytest.approx([9, 0, 1, 0.5, 1.5, 1.5, 2.5, 2, 3])


def test_patches_are_moved_and_dealt_out() -> None:
    network = TransReID(SMALL, parts=True)
    patches = torch.arange(1, 9).view(1, 8, 1)
    assert network._shuffled(patches).flatten().tolist() == [5, 1, 6, 2, 7, 3, 8, 4]


def transreid(cameras: int = 0, **changes: Any) -> dict[str, torch.Tensor]:
    """As TransReID saves: the classifiers of training, ImageNet's head, and the last block beside its copies."""
    shape = Shape((64, 32), 12, 128, 2, 2, 512, cameras=cameras)
    state = filled(TransReID(shape, parts=True)).state_dict()
    block = {f"base.blocks.1.{k[5:]}": v.clone() for k, v in state.items() if k.startswith("b1.0.")}
    extras = {f"classifier{n}.weight": torch.zeros(7, 128) for n in ("", "_1", "_2", "_3", "_4")}
    extras |= {"base.norm.weight": torch.ones(128), "base.norm.bias": torch.zeros(128)}
    extras |= {"base.fc.weight": torch.zeros(1000, 128), "base.fc.bias": torch.zeros(1000)}
    return {**state, **block, **extras, **changes}


def clip_reid(cameras: int = 0) -> dict[str, torch.Tensor]:
    """As CLIP-ReID saves: classifiers, and what learnt the texts."""
    encoder = ClipTransformer((64, 32), 16, width=128, projected=64)
    extras = {
        "classifier.weight": torch.zeros(7, 128),
        "classifier_proj.weight": torch.zeros(7, 64),
        "prompt_learner.cls_ctx": torch.zeros(7, 4, 64),
        "prompt_learner.token_prefix": torch.zeros(1, 5, 64),
        "text_encoder.transformer.resblocks.0.attn.in_proj_weight": torch.zeros(192, 64),
    }
    return {**filled(ClipReid(encoder, cameras=cameras)).state_dict(), **extras}


def osnet(**changes: Any) -> dict[str, Any]:
    extras = {"classifier.weight": torch.zeros(7, 512), "classifier.bias": torch.zeros(7)}
    return {**filled(OSNet(16)).state_dict(), **extras, **changes}


KINDS: dict[str, tuple[Callable[..., dict[str, Any]], str, int]] = {
    "transreid": (transreid, ",size=64x32", 640),
    "clip-reid": (clip_reid, ",size=64x32", 192),
    "osnet": (osnet, "", 512),
}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], Path]:
    def save(content: Any) -> Path:
        path = tmp_path / "model.pth"
        torch.save(content, path)
        return path

    return save


def asked(backbone: Backbone, cameras: list[int] | None = None) -> np.ndarray:
    height, width = backbone.preprocess.size  # type: ignore[attr-defined]
    return backbone.features(pictures(height, width), None if cameras is None else np.array(cameras))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["as saved", "module.", "state_dict", "safetensors"])
def test_checkpoints_load_in_the_forms_in_which_people_keep_them(
    kind: str, form: str, saved: Callable[[Any], Path], tmp_path: Path
) -> None:
    make, options, dimensions = KINDS[kind]
    state = make()
    content = {"module.": {f"module.{k}": v for k, v in state.items()}, "state_dict": {"state_dict": state}}
    path = saved(content.get(form, state))
    if form == "safetensors":
        path = tmp_path / "model.safetensors"
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    backbone = load_backbone(f"{kind}:{path}{options}")
    assert asked(backbone).shape == (2, dimensions)
    by_option = load_backbone(f"{kind}{options.replace(',', ':')}", path)
    assert np.array_equal(asked(backbone), asked(by_option))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_checkpoint_lacks_has_too_much_or_in_another_shape_is_refused(
    kind: str, saved: Callable[[Any], Path]
) -> None:
    make, options, _ = KINDS[kind]
    whole = make()
    key = next(k for k in whole if k.endswith(("mlp.fc1.weight", "c_fc.weight", "conv5.conv.weight")))
    spoilt = {
        f"lacks {key}": {k: v for k, v in whole.items() if k != key},
        "has a strange surprise.weight": {**whole, "surprise.weight": torch.zeros(1)},
        f"has {key} as": {**whole, key: whole[key][:-1]},
    }
    for words, state in spoilt.items():
        with pytest.raises(UserError, match=re.escape(words)) as refused:
            load_backbone(f"{kind}:{saved(state)}{options}")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (osnet(), "is no checkpoint of"),
        (transreid(), "is no checkpoint of"),
        ({"base.pos_embed": torch.zeros(())}, "is no checkpoint of"),
        ({"conv1.conv.weight": torch.zeros(()), "fc.0.weight": torch.zeros(3)}, "is no checkpoint of"),
        ({"image_encoder.positional_embedding": torch.zeros(9, 5)}, "is no checkpoint of"),
        (nn.Linear(2, 2), "read safely"),
        ({"a": "b"}, "no state dict"),
        (b"hello", "read safely"),
    ],
)
def test_another_file_is_one_sentence(
    kind: str, content: Any, words: str, saved: Callable[[Any], Path], tmp_path: Path
) -> None:
    make, options, _ = KINDS[kind]
    if isinstance(content, dict) and content.keys() == make().keys():
        return  # its own
    path = saved(content)
    if isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(UserError, match=words) as refused:
        load_backbone(f"{kind}:{path}{options}")
    assert str(path) in str(refused.value)


def test_torchreids_own_files_hold_a_numpy_number(saved: Callable[[Any], Path]) -> None:
    content = {
        "state_dict": osnet(),
        "epoch": 150,
        "rank1": np.float32(0.5),
        "optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1).state_dict(),
    }
    path = saved(content)
    with pytest.raises(Exception, match="multiarray"):
        torch.load(path, weights_only=True)
    assert asked(load_backbone(f"osnet:{path}")).shape == (2, 512)


@pytest.mark.parametrize("variant", ["plain", "ibn", "ain"])
def test_osnets_are_told_apart(variant: Any, saved: Callable[[Any], Path]) -> None:
    network = filled(OSNet(32, variant=variant))
    backbone = load_backbone(f"osnet:{saved(network.state_dict())}")
    with torch.inference_mode():
        expected = network(pictures(256, 128)).numpy()
    assert asked(backbone) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("size", "stride", "places"),
    [
        ((256, 128), 16, 128), ((256, 128), 12, 210), ((256, 128), 11, 242), ((384, 128), 16, 192),
        ((384, 128), 12, 310), ((256, 256), 16, 256), ((256, 256), 12, 441), ((224, 224), 16, 196),
    ],
)  # fmt: skip
def test_sizes_and_strides_are_read_off_the_number_of_positions(
    size: tuple[int, int], stride: int, places: int, saved: Callable[[Any], Path]
) -> None:
    shape = Shape(size, stride, 64, 1, 1, 64)
    state = TransReID(shape, parts=False).state_dict()
    assert state["base.pos_embed"].shape[1] == places + 1
    backbone = load_backbone(f"transreid:{saved(state)}")
    assert (backbone.preprocess.size, f"stride={stride}" in backbone.configuration) == (size, True)


def test_positions_of_no_usual_size_ask_for_it(saved: Callable[[Any], Path]) -> None:
    path = saved(transreid())
    with pytest.raises(UserError, match="10 patches.*usual: give size=HEIGHTxWIDTH and stride=N"):
        load_backbone(f"transreid:{path}")
    with pytest.raises(UserError, match="10 patches.*were given"):
        load_backbone(f"transreid:{path},size=96x96")


@pytest.mark.parametrize("kind", ["transreid", "clip-reid"])
def test_cameras_that_a_network_knows(kind: str, saved: Callable[[Any], Path]) -> None:
    make, options, _ = KINDS[kind]
    state = make(cameras=3)
    path = saved(state)
    own, mean, none = (
        load_backbone(f"{kind}:{path}{options}{sie}").on("cpu") for sie in ("", ",sie=mean", ",sie=none")
    )
    assert (own.cameras, mean.cameras, none.cameras) == (3, 0, 0)
    assert len({backbone.identity["configuration"] for backbone in (own, mean, none)}) == 3
    first, third = asked(own, [1, 1]), asked(own, [3, 3])
    assert np.abs(first - third).max() > 1e-3
    assert np.array_equal(asked(own, [1, 3]), np.stack([first[0], third[1]]))
    assert np.abs(asked(mean) - asked(none)).max() > 1e-3
    bare = {key: value for key, value in state.items() if key not in ("base.sie_embed", "cv_embed")}
    assert np.array_equal(asked(none), asked(load_backbone(f"{kind}:{saved(bare)}{options}").on("cpu")))
    refused = {"must be told": None, "camera 0": [0, 1], "camera 4": [1, 4], "an unknown camera": [-1, 1]}
    for words, cameras in refused.items():
        with pytest.raises(UserError, match=words):
            asked(own, cameras)


def test_all_cameras_alike_are_their_mean(saved: Callable[[Any], Path]) -> None:
    state = transreid(cameras=3)
    state["base.sie_embed"] = state["base.sie_embed"][:1].expand(3, -1, -1).clone()
    path = saved(state)
    own, mean = (load_backbone(f"transreid:{path},size=64x32{sie}") for sie in ("", ",sie=mean"))
    assert asked(own, [1, 2]) == pytest.approx(asked(mean), abs=1e-5)


def test_viewpoints_are_averaged_for_each_camera(saved: Callable[[Any], Path]) -> None:
    state = transreid(cameras=6)
    backbone = load_backbone(f"transreid:{saved(state)},size=64x32,views=2")
    state["base.sie_embed"] = state["base.sie_embed"].view(3, 2, 1, 128).mean(1)
    averaged = load_backbone(f"transreid:{saved(state)},size=64x32")
    assert backbone.cameras == averaged.cameras == 3
    assert np.array_equal(asked(backbone, [1, 3]), asked(averaged, [1, 3]))


def test_clip_reids_resnet(saved: Callable[[Any], Path]) -> None:
    network = filled(ClipReid(ClipResNet((64, 32), base=16, blocks=(1, 2, 1, 1), projected=32)))
    # Camera embeddings that it never looked at.
    state = {
        **network.state_dict(),
        "cv_embed": torch.zeros(6, 512),
        "classifier.weight": torch.zeros(7, 512),
    }
    backbone = load_backbone(f"clip-reid:{saved(state)},size=64x32")
    assert backbone.cameras == 0
    with torch.inference_mode():
        expected = network(pictures(64, 32)).numpy()
    assert asked(backbone.on("cpu")) == pytest.approx(expected, abs=1e-3)


def test_the_neck_is_chosen(saved: Callable[[Any], Path]) -> None:
    path = saved(transreid())
    before, after = (load_backbone(f"transreid:{path},size=64x32{neck}") for neck in ("", ",neck=after"))
    assert np.abs(asked(before) - asked(after)).max() > 1e-2
    with pytest.raises(UserError, match="neck is not 'beside'"):
        load_backbone(f"transreid:{path},size=64x32,neck=beside")


def test_freezing_keeps_features(saved: Callable[[Any], Path]) -> None:
    backbone = load_backbone(f"osnet:{saved(osnet())}")
    frozen = backbone.on("cpu")
    assert frozen.network is not backbone.network
    assert asked(frozen) == pytest.approx(asked(backbone), abs=1e-4)
