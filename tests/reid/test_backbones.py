"""Backbones that libraries, wheels and ONNX files hold: their features are the libraries' own, from whole crops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

from mpq.errors import UserError
from mpq.models.base import load_model
from reid.backbones.base import Backbone, load_backbone, registry
from reid.backbones.preprocessing import Preprocessing
from reid.backbones.sizes import fitted

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def crop() -> Image.Image:
    """A figure's shape and colours; taller than wide, and of no network's size."""
    y, x = np.mgrid[:150, :64]
    waves = [127 + 120 * np.sin(y / (9 + 4 * c) + x / (5 + 3 * c)) for c in range(3)]
    return Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))


def feature(backbone: Backbone, image: Image.Image) -> np.ndarray:
    return backbone.features(backbone.preprocess(image)[None])[0]


def tensor(image: Image.Image, size: tuple[int, int], mean: Any, deviation: Any) -> torch.Tensor:
    """A batch of one as published re-identification programs make it, by torchvision."""
    transforms = torchvision.transforms
    steps = [transforms.Resize(size), transforms.ToTensor(), transforms.Normalize(mean, deviation)]
    return transforms.Compose(steps)(image)[None]


def test_preprocessing_is_what_published_programs_do_to_the_bit(crop: Image.Image) -> None:
    for size in ((256, 128), (384, 128), (100, 100)):
        made = Preprocessing(size)(crop)
        assert torch.equal(made, tensor(crop, size, *IMAGENET)[0])


def test_options_of_preprocessing_by_hand() -> None:
    red = Image.new("RGB", (5, 9), (255, 51, 0))
    options = {"size": "4x2", "mean": "0.5", "std": "0.5/0.25/1", "channels": "bgr", "resize": "bicubic"}
    made = Preprocessing().changed(options, "x")(red)
    assert made.shape == (3, 4, 2)
    # red (1 − .5) / .5, green (.2 − .5) / .25, blue (0 − .5) / 1; blue goes in first
    assert made[:, 0, 0].tolist() == pytest.approx([-0.5, -1.2, 1.0])
    whole = Preprocessing().changed({"scale": "255", "mean": "0", "std": "1"}, "x")(red)
    assert whole[:, 0, 0].tolist() == pytest.approx([255, 51, 0])


def test_lite0_gives_what_its_classifier_would_be_given(crop: Image.Image) -> None:
    backbone = load_backbone("efficientnet-lite0")
    classifier = load_model("classification", "efficientnet-lite0").network
    pooled = feature(backbone, crop)
    assert pooled.shape == (1280,)
    with torch.inference_mode():
        logits = classifier(tensor(crop, (256, 128), (127 / 255,) * 3, (128 / 255,) * 3))[0]
        expected = classifier.classifier(torch.from_numpy(pooled))  # type: ignore[attr-defined]
    assert logits == pytest.approx(expected, abs=1e-4)


def test_on_a_cpu_a_feature_does_not_depend_on_the_others_asked_with_it() -> None:
    backbone = load_backbone("efficientnet-lite0").on("cpu")
    batch = torch.randn(5, 3, 256, 128, generator=torch.Generator().manual_seed(0))
    together = backbone.features(batch)
    for rows in ([0], [4, 1, 2], [3, 3]):
        assert np.array_equal(backbone.features(batch[rows]), together[rows])


def test_everything_that_shapes_features_is_in_the_identity() -> None:
    specs = ["", ":size=128x64", ":mean=0.5", ":std=0.5", ":scale=2", ":channels=bgr", ":resize=bicubic"]
    identities = {json.dumps(load_backbone(f"efficientnet-lite0{s}").identity) for s in specs}
    assert len(identities) == len(specs)


@pytest.mark.parametrize(
    ("name", "last"), [("resnet18", "fc"), ("mobilenet_v3_small", "classifier.3"), ("squeezenet1_1", "")]
)
def test_torchvision_without_its_last_layer(name: str, last: str, tmp_path: Path, crop: Image.Image) -> None:
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None, num_classes=7).eval()
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    backbone = load_backbone(f"torchvision:{name}", path)
    with torch.inference_mode():
        x = tensor(crop, (256, 128), *IMAGENET)
        if last:
            layer, seen = network.get_submodule(last), []
            layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
            network(x)
            expected = seen[0][0]
        else:  # its last layer is a convolution, whose input is then pooled
            expected = network.features(x).relu().mean((2, 3))[0]
    assert feature(backbone, crop) == pytest.approx(expected.numpy(), abs=1e-5)


def test_weights_without_a_head_will_do(tmp_path: Path) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    save_file({k: v for k, v in state.items() if not k.startswith("fc.")}, tmp_path / "r.safetensors")
    assert load_backbone("torchvision:resnet18", tmp_path / "r.safetensors").preprocess.size == (256, 128)  # type: ignore[attr-defined]
    state = timm.create_model("resnet10t", num_classes=0).state_dict()
    save_file(state, tmp_path / "t.safetensors")
    assert load_backbone("timm:resnet10t", tmp_path / "t.safetensors")


def test_a_network_that_takes_one_size_gets_it() -> None:
    class Fixed(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[2:] != (224, 224):
                raise ValueError(f"I take 224x224\nand not {x.shape}")
            return x.mean((2, 3))

    assert fitted(lambda _: Fixed(), [(256, 128), (224, 224)], "x")[1] == (224, 224)
    with pytest.raises(UserError, match="x takes no crops of 256x128: I take 224x224$"):
        fitted(lambda _: Fixed(), [(256, 128)], "x")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mobilenetv3_small_050", "levit_128s"])
def test_timm_is_timms_own_way_to_features_of_its_weights(
    name: str, tmp_path: Path, crop: Image.Image
) -> None:
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save_file(timm.create_model(name, pretrained=False).state_dict(), path)
    backbone = load_backbone(f"timm:{name}", path)
    size = backbone.preprocess.size  # type: ignore[attr-defined]
    assert size == ((224, 224) if name == "levit_128s" else (256, 128))  # whose biases are for one size
    theirs = timm.create_model(
        name,
        pretrained=True,
        pretrained_cfg_overlay={"file": str(path)},
        num_classes=0,
        **({"img_size": size} if name.startswith("vit") else {}),
    ).eval()
    config = timm.get_pretrained_cfg(name)
    with torch.inference_mode():
        expected = theirs(tensor(crop, size, config.mean, config.std))[0].numpy()
    assert feature(backbone, crop) == pytest.approx(expected, abs=1e-4)
    if name.startswith("vit"):
        other = load_backbone(f"timm:{name},size=64x32", path)
        assert other.preprocess(crop).shape == (3, 64, 32)
        with pytest.raises(UserError, match="takes no crops of 8x8"):
            load_backbone(f"timm:{name},size=8x8", path)


def _vit(folder: Path, *, pooler: bool) -> None:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor, ViTModel

    config = ViTConfig(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, num_labels=3,
    )  # fmt: skip
    (ViTModel if pooler else ViTForImageClassification)(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def _dinov2(folder: Path) -> None:
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    config = Dinov2Config(
        image_size=28, patch_size=14, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=1
    )
    Dinov2Model(config).save_pretrained(folder)
    BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}).save_pretrained(
        folder
    )


def _clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    vision = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "projection_dim": 12}  # fmt: skip
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 10}  # fmt: skip
    CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=12)).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder
    )


def _theirs(folder: Path, kind: str, x: torch.Tensor) -> torch.Tensor:
    import transformers

    if kind == "clip":
        vision = transformers.CLIPVisionModelWithProjection.from_pretrained(folder).eval()
        return vision(pixel_values=x, interpolate_pos_encoding=True).image_embeds
    if kind == "dinov2":
        return transformers.Dinov2Model.from_pretrained(folder).eval()(pixel_values=x).last_hidden_state[:, 0]
    vit = transformers.ViTModel.from_pretrained(folder).eval()
    answer = vit(pixel_values=x, interpolate_pos_encoding=True)
    return answer.pooler_output if kind == "vit with pooler" else answer.last_hidden_state[:, 0]


@pytest.mark.parametrize(
    ("kind", "save", "size", "dimensions"),
    [
        ("vit", lambda folder: _vit(folder, pooler=False), (256, 128), 16),
        ("vit with pooler", lambda folder: _vit(folder, pooler=True), (256, 128), 16),
        ("dinov2", _dinov2, (252, 126), 16),
        ("clip", _clip, (256, 128), 12),
    ],
)
def test_hugging_face_encoders(
    kind: str,
    save: Callable[[Path], None],
    size: tuple[int, int],
    dimensions: int,
    tmp_path: Path,
    crop: Image.Image,
) -> None:
    torch.manual_seed(0)
    save(tmp_path)
    backbone = load_backbone(f"hf:{tmp_path}")
    assert backbone.preprocess.size == size  # type: ignore[attr-defined]
    processor = json.loads((tmp_path / "preprocessor_config.json").read_text())
    with torch.inference_mode():
        x = tensor(crop, size, processor["image_mean"], processor["image_std"])
        expected = _theirs(tmp_path, kind, x)[0].numpy()
    assert feature(backbone, crop) == pytest.approx(expected, abs=1e-4)
    assert feature(backbone, crop).shape == (dimensions,)


def test_a_hugging_face_encoder_with_a_missing_or_a_strange_layer_is_refused(tmp_path: Path) -> None:
    _vit(tmp_path, pooler=False)
    file = tmp_path / "model.safetensors"
    whole = load_file(file)
    layer = next(key for key in whole if key.endswith("layernorm.weight"))
    save_file({k: v for k, v in whole.items() if k != layer}, file, {"format": "pt"})
    with pytest.raises(UserError, match="leaves .*layernorm.weight.* random"):
        load_backbone(f"hf:{tmp_path}")
    save_file({**whole, "surprise.weight": torch.zeros(2)}, file, {"format": "pt"})
    with pytest.raises(UserError, match="strange surprise.weight"):
        load_backbone(f"hf:{tmp_path}")


def test_an_encoder_that_draws_at_random_is_refused(tmp_path: Path) -> None:
    from transformers import ViTImageProcessor, ViTMAEConfig, ViTMAEModel

    config = ViTMAEConfig(
        image_size=64, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16,
    )  # fmt: skip
    network = ViTMAEModel(config)  # it masks three quarters of the patches, others each time
    for value in network.parameters():
        value.data *= 10
    network.save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="two features for one picture"):
        load_backbone(f"hf:{tmp_path},size=64x64")


@pytest.fixture
def graph(tmp_path: Path) -> Callable[..., Path]:
    """Writes an ONNX file whose outputs are the means of the channels of its input's pictures."""
    helper = pytest.importorskip("onnx").helper
    import onnx

    def write(
        shape: list[Any],
        *,
        type: int = onnx.TensorProto.FLOAT,
        axes: tuple[int, int] = (2, 3),
        outputs: tuple[str, ...] = ("feature",),
        extra: bool = False,
    ) -> Path:
        given = helper.make_tensor_value_info("pictures", type, shape)
        values = [helper.make_tensor_value_info(name, type, None) for name in outputs]
        nodes = [helper.make_node("ReduceMean", ["pictures"], [outputs[0]], axes=axes, keepdims=0)]
        nodes += [helper.make_node("Identity", [outputs[0]], [name]) for name in outputs[1:]]
        if extra:  # one output is the pictures themselves
            values.append(helper.make_tensor_value_info("map", type, None))
            nodes.append(helper.make_node("Identity", ["pictures"], ["map"]))
        made = helper.make_graph(nodes, "means", [given], values)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return path

    return write


COLOUR = (255, 51, 0)
NORMALISED = [(v / 255 - m) / d for v, m, d in zip(COLOUR, *IMAGENET, strict=True)]


@pytest.mark.parametrize(
    ("shape", "axes", "size"),
    [
        ([1, 3, 16, 8], (2, 3), (16, 8)),
        ([4, 3, 16, 8], (2, 3), (16, 8)),
        (["batch", 3, 16, 8], (2, 3), (16, 8)),
        (["batch", 3, "h", "w"], (2, 3), (256, 128)),
        ([None, 3, None, None], (2, 3), (256, 128)),
        ([1, 16, 8, 3], (1, 2), (16, 8)),
        (["batch", "h", "w", 3], (1, 2), (256, 128)),
    ],
)
def test_onnx_files_of_every_shape(
    shape: list[Any], axes: tuple[int, int], size: tuple[int, int], graph: Callable[..., Path]
) -> None:
    backbone = load_backbone(f"onnx:{graph(shape, axes=axes)}").on("cpu")
    assert backbone.preprocess.size == size  # type: ignore[attr-defined]
    pictures = [Image.new("RGB", (5, 9), colour) for colour in (COLOUR, (0, 0, 0), COLOUR)]
    features = backbone.features(torch.stack([backbone.preprocess(p) for p in pictures]))
    assert features.dtype == np.float32
    assert features[0] == pytest.approx(NORMALISED, abs=3e-4)
    assert np.array_equal(features[0], features[2])
    assert not np.allclose(features[0], features[1])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("channels=bgr", NORMALISED[::-1]),
        ("mean=0,std=1", [1, 0.2, 0]),
        ("mean=0,std=1,scale=255,channels=bgr", [0, 51, 255]),
        ("mean=0.5/0.2/0,std=0.5/1/1", [1, 0, 0]),
    ],
)
def test_onnx_options(options: str, expected: list[float], graph: Callable[..., Path]) -> None:
    backbone = load_backbone(f"onnx:{graph([1, 3, 16, 8])},{options}")
    assert feature(backbone, Image.new("RGB", (8, 8), COLOUR)) == pytest.approx(expected, abs=1e-5)


def test_onnx_in_half_precision(graph: Callable[..., Path]) -> None:
    import onnx

    backbone = load_backbone(f"onnx:{graph([1, 3, 16, 8], type=onnx.TensorProto.FLOAT16)}")
    assert feature(backbone, Image.new("RGB", (8, 8), COLOUR)) == pytest.approx(NORMALISED, abs=1e-2)


def test_onnx_outputs(graph: Callable[..., Path]) -> None:
    alone = load_backbone(f"onnx:{graph([1, 3, 16, 8], extra=True)}")
    assert "output feature" in alone.configuration
    with pytest.raises(UserError, match="2 outputs: say output=NAME, one of a, b"):
        load_backbone(f"onnx:{graph([1, 3, 16, 8], outputs=('a', 'b'))}")
    chosen = load_backbone(f"onnx:{graph([1, 3, 16, 8], outputs=('a', 'b'))},output=b")
    assert "output b" in chosen.configuration
    with pytest.raises(UserError, match="no output 'c'; there are: a, b"):
        load_backbone(f"onnx:{graph([1, 3, 16, 8], outputs=('a', 'b'))},output=c")


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ([1, 4, 16, 8], "", "takes 4 channels"),
        ([1, 3, 16], "", "not pictures"),
        ([1, 3, 16, 8], ",size=256x128", "takes 16x8 alone"),
    ],
)
def test_onnx_files_of_no_pictures(
    shape: list[Any], options: str, words: str, graph: Callable[..., Path]
) -> None:
    with pytest.raises(UserError, match=words):
        load_backbone(f"onnx:{graph(shape, axes=(1, 2))}{options}")


def test_a_broken_onnx_file_is_one_sentence(graph: Callable[..., Path], tmp_path: Path) -> None:
    whole = graph([1, 3, 16, 8]).read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        path = tmp_path / "broken.onnx"
        path.write_bytes(content)
        with pytest.raises(UserError, match="broken.onnx is no ONNX file that can be run") as refused:
            load_backbone(f"onnx:{path}")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("efficientnet-lite9", "unknown backbone 'efficientnet-lite9'; did you mean 'efficientnet-lite0'"),
        ("efficientnet-lite0:x", "one backbone and takes no ':x'"),
        ("efficientnet-lite0:sise=2x2", "no option 'sise'; did you mean 'size'"),
        ("efficientnet-lite0:size=2x2,size=2x2", "size is given twice"),
        ("efficientnet-lite0:size=", "size is given no value"),
        ("efficientnet-lite0:size=big", "HEIGHTxWIDTH such as 256x128"),
        ("efficientnet-lite0:size=0x8", "HEIGHTxWIDTH such as 256x128"),
        ("efficientnet-lite0:size=9999x8", "at most 4096"),
        ("efficientnet-lite0:mean=1/2", "mean is one number, or three"),
        ("efficientnet-lite0:std=0", "std must be positive"),
        ("efficientnet-lite0:std=nan", "std is one number, or three"),
        ("efficientnet-lite0:scale=-1", "scale must be positive"),
        ("efficientnet-lite0:channels=grb", "channels is not 'grb'"),
        ("efficientnet-lite0:resize=best", "resize is not 'best'"),
        ("timm", "needs a name behind it"),
        ("timm:size=2x2", "needs a name behind it"),
        ("timm:no_such_net", "timm has no model"),
        ("torchvision:no_such_net", "torchvision has no classifier"),
        ("torchvision:resnet18", "weights of torchvision:resnet18 cannot be had"),
        ("vit-b16", "weights of vit-b16 cannot be had"),
        ("hf:nobody/nothing", "hf:nobody/nothing cannot be had"),
        ("onnx", "needs a name behind it: onnx:FILE"),
        ("onnx:absent.onnx", "there is no file 'absent.onnx'"),
        ("transreid:absent.pth,sie=none", "there is no file 'absent.pth'"),
    ],
)
def test_a_wrong_spec_is_one_sentence(
    spec: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("mpq.weights.sources._answers", lambda host: False)
    with pytest.raises(UserError) as refused:
        load_backbone(spec)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_path_may_hold_commas_and_equals_signs(graph: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "lr=0.1, b=2" / "a:b.onnx"
    path.parent.mkdir()
    graph([1, 3, 16, 8]).rename(path)
    assert load_backbone(f"onnx:{path},mean=0").name == "onnx:a:b.onnx"


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv.weight": torch.zeros(3)}, path)
    for spec in ("efficientnet-lite0", "vit-b16", "timm:resnet10t", "torchvision:resnet18"):
        with pytest.raises(UserError, match="does not fit .*: it lacks"):
            load_backbone(spec, path)


def test_each_backbone_says_what_it_is() -> None:
    assert {"efficientnet-lite0", "torchvision", "timm", "hf", "onnx", "transreid", "clip-reid", "osnet", "vit-b16"} <= registry.entries.keys()  # fmt: skip
    for name, source in registry.entries.items():
        assert source.name == name
        assert source.summary
        assert all(source.options.values())


def test_weights_beside_an_onnx_file_are_part_of_what_it_is(graph: Callable[..., Path]) -> None:
    path = graph([1, 3, 16, 8])
    data = path.with_name(f"{path.name}.data")
    identities = []
    for content in (b"one", b"two"):
        data.write_bytes(content)
        identities.append(load_backbone(f"onnx:{path}").identity)
    assert identities[0] != identities[1]
