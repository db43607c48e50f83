"""torchvision, timm and Hugging Face classifiers from local files, in the formats that each publishes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.models.classification.base import Classifier
from mpq.weights.sources import from_url


def _logits(model: Classifier, image: Image.Image) -> torch.Tensor:
    return model.logits(model.preprocess(image)[None])[0]


@pytest.fixture
def photograph(photographs: list[Path]) -> Image.Image:
    return Image.open(photographs[0]).convert("RGB")


def test_torchvision_from_a_file_is_torchvision_with_its_own_transform(tmp_path: Path, photograph) -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    path = tmp_path / "resnet18.pth"
    torch.save(network.state_dict(), path)
    model = load_model("classification", "torchvision:resnet18", path)
    transform = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        expected = network(transform(photograph)[None])[0]
    assert _logits(model, photograph) == pytest.approx(expected, abs=1e-4)
    assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model.labels.resolve("n01440764") == 0


def test_torchvision_takes_the_named_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r50.pth"
    torch.save(torchvision.models.resnet50(weights=None).state_dict(), path)
    resize = {
        tag: load_model("classification", f"torchvision:resnet50{tag}", path).preprocessing.split(
            "resize_size=["
        )[1][:3]
        for tag in ("", "@IMAGENET1K_V1", "@IMAGENET1K_V2")
    }
    assert resize == {"": "232", "@IMAGENET1K_V1": "256", "@IMAGENET1K_V2": "232"}


def test_torchvision_with_a_head_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "ten.pth"
    torch.save({"state_dict": torchvision.models.mobilenet_v3_small(num_classes=10).state_dict()}, path)
    assert len(load_model("classification", "torchvision:mobilenet_v3_small", path).labels) == 10


def test_torchvision_from_safetensors_whatever_their_order(tmp_path: Path) -> None:
    path = tmp_path / "ten.safetensors"
    save_file(torchvision.models.resnet18(num_classes=10).state_dict(), path)
    assert len(load_model("classification", "torchvision:resnet18", path).labels) == 10


def test_torchvision_without_a_head_is_refused(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    torch.save({k: v for k, v in state.items() if not k.startswith("fc.")}, tmp_path / "headless.pth")
    with pytest.raises(UserError, match=r"lacks fc\.bias"):
        load_model("classification", "torchvision:resnet18", tmp_path / "headless.pth")


def test_a_seeded_cache_is_used_and_its_hash_prefix_checked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()[:8]
    good = tmp_path / "checkpoints" / f"net-{digest}.pth"
    good.write_bytes(content)
    assert from_url(f"https://download.pytorch.org/models/{good.name}", "x") == good
    (tmp_path / "checkpoints" / "net-00000000.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"net-00000000\.pth is damaged"):
        from_url("https://download.pytorch.org/models/net-00000000.pth", "x")


def test_what_cannot_be_had_names_the_file_its_address_and_its_place(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(
        UserError, match="http://127.0.0.1:9/net-1234.pth at .*checkpoints/net-1234.pth.*--weights"
    ):
        from_url("http://127.0.0.1:9/net-1234.pth", "x")


def test_timm_from_a_file_is_timm_with_its_own_transform(tmp_path: Path, photograph) -> None:
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv3_small_050.lamb_in1k", pretrained=False).eval()
    path = tmp_path / "model.safetensors"
    save_file(network.state_dict(), path)
    model = load_model("classification", "timm:mobilenetv3_small_050.lamb_in1k", path)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    with torch.inference_mode():
        expected = network(transform(photograph)[None])[0]
    assert _logits(model, photograph) == pytest.approx(expected, abs=1e-4)


def test_timm_by_name_without_a_network_is_one_sentence() -> None:
    with pytest.raises(UserError, match="weights of timm:resnet10t.c3_in1k cannot be had.*--weights"):
        load_model("classification", "timm:resnet10t.c3_in1k")


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    names = {0: "angular_leaf_spot", 1: "bean_rust", 2: "healthy"}
    config = ViTConfig(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, id2label=names, label2id={v: k for k, v in names.items()},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


@pytest.mark.parametrize("by", ["name", "weights"])
def test_hugging_face_from_a_folder_is_transformers_with_its_own_processor(
    by: str, vit: Path, photograph
) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    spec, weights = (f"hf:{vit}", None) if by == "name" else ("hf:somebody/vit", vit)
    model = load_model("classification", spec, weights)
    inputs = AutoImageProcessor.from_pretrained(vit)(images=photograph, return_tensors="pt")
    with torch.inference_mode():
        expected = AutoModelForImageClassification.from_pretrained(vit)(**inputs).logits[0]
    assert _logits(model, photograph) == pytest.approx(expected, abs=1e-5)
    assert model.labels.resolve("bean_rust") == 1
    assert _logits(model.on("cpu"), photograph) == pytest.approx(expected, abs=1e-4)


def _configure(folder: Path, file: str, **changes: object) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_hugging_face_models_configuration_is_part_of_what_it_is(vit: Path) -> None:
    before = load_model("classification", f"hf:{vit}").identity
    _configure(vit, "config.json", hidden_act="relu")
    after = load_model("classification", f"hf:{vit}").identity
    assert before["weights"] == after["weights"]
    assert before != after


def test_a_processor_without_one_size_is_refused(vit: Path) -> None:
    _configure(vit, "preprocessor_config.json", do_resize=False)
    with pytest.raises(UserError, match="one size"):
        load_model("classification", f"hf:{vit}")


def test_label_n_is_no_name(vit: Path) -> None:
    _configure(vit, "config.json", id2label={str(i): f"LABEL_{i}" for i in range(3)})
    labels = load_model("classification", f"hf:{vit}").labels
    assert labels.resolve("LABEL_1") is None
    assert labels.resolve("2") == 2


def test_hugging_face_weights_are_a_folder(vit: Path) -> None:
    with pytest.raises(UserError, match="a folder saved by transformers"):
        load_model("classification", "hf:somebody/vit", vit / "model.safetensors")


def test_a_hugging_face_model_with_a_missing_layer_is_refused(vit: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(vit / "model.safetensors")
    save_file(
        {k: v for k, v in tensors.items() if "classifier" not in k},
        vit / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(UserError, match="leaves .*classifier.* random"):
        load_model("classification", f"hf:{vit}")


def test_hugging_face_by_name_without_a_network_is_one_sentence() -> None:
    with pytest.raises(UserError, match="hf:nobody/nothing cannot be had"):
        load_model("classification", "hf:nobody/nothing")
