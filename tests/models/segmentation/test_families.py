"""torchvision and Hugging Face segmenters from local files, in the formats that each publishes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.nn import functional

from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.models.segmentation.base import Segmenter


@pytest.fixture
def photograph(photographs: list[Path]) -> Image.Image:
    return Image.open(photographs[0]).convert("RGB").resize((160, 120))


def _masked(model: Segmenter, picture: Image.Image) -> np.ndarray:
    return model.masks([model.preprocess(picture)], [(picture.height, picture.width)])[0]


def _expected(logits: torch.Tensor, picture: Image.Image) -> np.ndarray:
    size = (picture.height, picture.width)
    return (
        functional.interpolate(logits, size=size, mode="bilinear", align_corners=False).argmax(1)[0].numpy()
    )


def _mobile(classes: int = 21, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=classes, **options
    ).eval()


def test_torchvision_from_a_file_is_torchvision_with_its_own_transform(tmp_path: Path, photograph) -> None:
    network = _mobile()
    path = tmp_path / "lraspp.pth"
    torch.save(network.state_dict(), path)
    model = load_model("segmentation", "torchvision:lraspp_mobilenet_v3_large", path)
    recipe = torchvision.models.segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT
    with torch.inference_mode():
        logits = network(recipe.transforms()(photograph)[None])["out"]
    assert (_masked(model, photograph) == _expected(logits, photograph)).mean() > 0.999
    assert model.classes[:2] == ("__background__", "aeroplane")
    assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "resize_size=[520]" in model.preprocessing
    ready = model.on("cpu")
    assert (_masked(ready, photograph) == _masked(model, photograph)).mean() > 0.999


def test_torchvision_with_classes_of_ones_own_has_numbers_for_names(tmp_path: Path) -> None:
    torch.save(_mobile(5).state_dict(), tmp_path / "five.pth")
    model = load_model("segmentation", "torchvision:lraspp_mobilenet_v3_large", tmp_path / "five.pth")
    assert model.classes == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("auxiliary", [True, False])
def test_torchvisions_second_head_is_taken_where_a_file_has_it(auxiliary: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torchvision.models.segmentation.deeplabv3_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=3, aux_loss=auxiliary
    ).eval()
    torch.save({"model": network.state_dict()}, tmp_path / "d.pth")
    model = load_model("segmentation", "torchvision:deeplabv3_mobilenet_v3_large", tmp_path / "d.pth")
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(model.network(x), network(x)["out"])
    assert len(model.classes) == 3


def test_torchvision_by_the_cache_and_without_a_network(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    spec = "torchvision:lraspp_mobilenet_v3_large"
    with pytest.raises(UserError, match=f"weights of {spec} cannot be had.*--weights"):
        load_model("segmentation", spec)
    url = torchvision.models.segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT.url
    seeded = tmp_path / "checkpoints" / url.rsplit("/", 1)[-1]
    seeded.parent.mkdir()
    torch.save(_mobile().state_dict(), seeded)
    with pytest.raises(UserError, match="is damaged: its sha256 does not begin with"):
        load_model("segmentation", spec)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("torchvision:resnet50", "torchvision has no semantic segmenter 'resnet50'"),
        ("torchvision:deeplabv3_resnet5", "did you mean 'deeplabv3_resnet50'"),
        ("torchvision", "needs a name behind it"),
        ("hf:nobody/nothing", "hf:nobody/nothing cannot be had"),
        ("lite0-camvid:x", "takes no ':x'"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_model("segmentation", spec)


def test_torchvision_weights_that_do_not_fit(tmp_path: Path) -> None:
    torch.save(_mobile().state_dict(), tmp_path / "l.pth")
    with pytest.raises(UserError, match="does not fit torchvision:fcn_resnet50"):
        load_model("segmentation", "torchvision:fcn_resnet50", tmp_path / "l.pth")


@pytest.fixture
def segformer(tmp_path: Path) -> Path:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    torch.manual_seed(0)
    names = {0: "road", 1: "traffic sign", 2: "sky"}
    config = SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[7, 3],
        strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=16,
        id2label=names, label2id={v: k for k, v in names.items()},
    )  # fmt: skip
    SegformerForSemanticSegmentation(config).save_pretrained(tmp_path / "segformer")
    size = {"height": 64, "width": 64}
    SegformerImageProcessor(size=size, do_reduce_labels=True).save_pretrained(tmp_path / "segformer")
    return tmp_path / "segformer"


@pytest.mark.parametrize("by", ["name", "weights"])
def test_hugging_face_from_a_folder_is_transformers_with_its_own_processor(
    by: str, segformer: Path, photograph
) -> None:
    from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

    spec, weights = (f"hf:{segformer}", None) if by == "name" else ("hf:somebody/segformer", segformer)
    model = load_model("segmentation", spec, weights)
    processor = AutoImageProcessor.from_pretrained(segformer)
    with torch.inference_mode():
        network = AutoModelForSemanticSegmentation.from_pretrained(segformer)
        outputs = network(**processor(images=photograph, return_tensors="pt"))
    theirs = processor.post_process_semantic_segmentation(outputs, [(120, 160)])[0].numpy()
    assert (_masked(model, photograph) == theirs).mean() > 0.999
    assert model.classes == ("road", "traffic sign", "sky")
    assert (_masked(model.on("cpu"), photograph) == theirs).mean() > 0.999


def _configure(folder: Path, **changes: object) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_mask_is_of_the_whole_picture_though_the_processor_crops(tmp_path: Path, photograph) -> None:
    from transformers import MobileViTConfig, MobileViTForSemanticSegmentation, MobileViTImageProcessor

    config = MobileViTConfig(
        hidden_sizes=[16, 20, 24], neck_hidden_sizes=[8, 8, 16, 16, 16, 16, 16], num_attention_heads=2,
        num_labels=3, aspp_out_channels=8,
    )  # fmt: skip
    MobileViTForSemanticSegmentation(config).save_pretrained(tmp_path / "mobilevit")
    MobileViTImageProcessor(
        size={"shortest_edge": 96}, crop_size={"height": 64, "width": 64}, do_center_crop=True
    ).save_pretrained(tmp_path / "mobilevit")
    model = load_model("segmentation", f"hf:{tmp_path / 'mobilevit'}")
    assert tuple(model.preprocess(photograph).shape) == (3, 96, 128)
    assert '"do_center_crop": false' in model.preprocessing


def test_a_processor_that_pads_is_refused(segformer: Path) -> None:
    _configure(segformer, do_pad=True, image_processor_type="DPTImageProcessor", size_divisor=32)
    with pytest.raises(UserError, match="pads pictures, so that its masks would not lie on them"):
        load_model("segmentation", f"hf:{segformer}")


def test_a_hugging_face_model_with_a_missing_layer_is_refused(segformer: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(segformer / "model.safetensors")
    kept = {k: v for k, v in tensors.items() if "decode_head.classifier" not in k}
    save_file(kept, segformer / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="leaves .*classifier.* random"):
        load_model("segmentation", f"hf:{segformer}")


def test_hugging_face_weights_are_a_folder(segformer: Path) -> None:
    with pytest.raises(UserError, match="a folder saved by transformers"):
        load_model("segmentation", "hf:somebody/segformer", segformer / "model.safetensors")
