"""Masks of logits: resized as torch does, whatever the memory; and where classes of models and data sets meet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from mpq.datasets.segmentation import ade20k, camvid, cityscapes, voc
from mpq.errors import UserError
from mpq.models.segmentation import base
from mpq.models.segmentation.base import Segmenter, mask_of
from mpq.models.segmentation.labels import NONE, matching


def whole(logits: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    resized = functional.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)
    return resized[0].numpy().argmax(axis=0)


@pytest.mark.parametrize("held", [1, 5 * 40 * 56, 16_777_216])
@pytest.mark.parametrize("size", [(40, 56), (9, 200), (3, 4)])
def test_parts_of_the_classes_give_the_mask_of_the_whole(
    held: int, size: tuple[int, int], monkeypatch
) -> None:
    monkeypatch.setattr(base, "RESIZED", held)
    logits = torch.randn(13, 10, 14, generator=torch.Generator().manual_seed(0))
    mask = mask_of(logits, size)
    assert mask.dtype == np.uint8
    assert mask.shape == size
    assert (mask == whole(logits, size)).all()


@pytest.mark.parametrize("held", [1, 10**9])
def test_of_equal_logits_the_first_class_is_chosen(held: int, monkeypatch) -> None:
    monkeypatch.setattr(base, "RESIZED", held)
    logits = torch.zeros(6, 3, 3)
    logits[[2, 4]] = 1.0
    assert (mask_of(logits, (3, 3)) == 2).all()


def test_more_classes_than_a_byte_counts() -> None:
    logits = torch.zeros(300, 2, 2)
    logits[299] = 1.0
    mask = mask_of(logits, (2, 2))
    assert mask.dtype == np.uint16
    assert (mask == 299).all()


def test_logits_are_resized_before_the_class_is_chosen() -> None:
    # Halfway between a strong 0 and a weak 1 lies 0: choosing first would draw the border in the middle.
    logits = torch.tensor([[[4.0, 0.0]], [[0.0, 1.0]]])
    assert mask_of(logits, (1, 8))[0].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


class Bright(torch.nn.Module):
    """Class 1 where a picture is bright, at a quarter of its size."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = functional.avg_pool2d(x.mean(dim=1, keepdim=True), 4) * self.weight
        return torch.cat([0.5 - small, small - 0.5], dim=1)


def test_pictures_of_many_sizes_in_one_call() -> None:
    def preprocess(picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255

    model = Segmenter(
        name="bright", weights_sha256="", preprocessing="", version="", network=Bright().eval(),
        preprocess=preprocess, classes=("dark", "bright"),
    )  # fmt: skip
    pictures, sizes = [], []
    for i, (width, height) in enumerate([(16, 8), (16, 8), (16, 8), (32, 24), (16, 8)]):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[:, (width // 8) * (i + 2) :] = 255
        pictures.append(preprocess(Image.fromarray(pixels)))
        sizes.append((2 * height, 2 * width))
    for ready in (model, model.on("cpu")):
        found = ready.masks(pictures, sizes)
        assert [mask.shape for mask in found] == sizes
        for mask, picture, size in zip(found, pictures, sizes, strict=True):
            with torch.inference_mode():
                assert (mask == whole(Bright()(picture[None])[0], size)).all()
            assert mask[0, 0] == 0
            assert mask[0, -1] == 1


def test_names_meet_whatever_their_spelling() -> None:
    found = matching(
        ["__background__", "Traffic Sign", "road, route", "moon"], ["road", "background", "traffic_sign"]
    )
    assert found.tolist() == [1, 2, 0, NONE]


def test_two_of_a_models_classes_may_be_one_of_the_data_sets() -> None:
    assert matching(["person", "pedestrian", "car"], ["Car", "Pedestrian"]).tolist() == [1, 1, 0]


def test_a_part_of_a_name_that_two_classes_share_says_nothing() -> None:
    classes = ["screen door, screen", "crt screen, screen"]
    assert matching(["screen", "crt screen"], classes).tolist() == [NONE, 1]


def test_camvid_by_a_model_of_cityscapes() -> None:
    names = tuple(cityscapes.LABEL_IDS)
    found = dict(zip(names, matching(names, camvid.CLASSES).tolist(), strict=True))
    met = {name: camvid.CLASSES[index] for name, index in found.items() if index != NONE}
    assert met == {
        "road": "Road", "sidewalk": "Pavement", "building": "Building", "fence": "Fence", "pole": "Pole",
        "traffic sign": "SignSymbol", "vegetation": "Tree", "sky": "Sky", "person": "Pedestrian", "car": "Car",
    }  # fmt: skip


@pytest.mark.parametrize("names", [ade20k.CLASSES, voc.CLASSES, camvid.CLASSES, tuple(cityscapes.LABEL_IDS)])
def test_a_data_sets_own_classes_are_the_identity(names: tuple[str, ...]) -> None:
    assert matching(names, names).tolist() == list(range(len(names)))


@pytest.mark.parametrize(
    "names",
    [
        ("tree", "vegetation", "road"), ("Car", "car", "road"), ("sidewalk", "pavement"), ("plant", "pottedplant"),
        ("c++", "c", "d"), ("🌳", "🚗"), ("背景", "道路"), ("same", "same"),
    ],
)  # fmt: skip
def test_equal_lists_are_the_identity_and_none_of_two_alike_names_is_the_other(
    names: tuple[str, ...],
) -> None:
    here = list(range(len(names)))
    assert matching(names, names).tolist() == here
    if len(set(names)) == len(names):
        assert matching(names, ("sky", *names)).tolist() == [i + 1 for i in here]
        assert matching(names, names[::-1]).tolist() == here[::-1]


def test_a_closer_name_goes_before_a_synonym() -> None:
    assert matching(["tree", "road"], ["vegetation", "tree", "road"]).tolist() == [1, 2]
    assert matching(["Tree", "road"], ["vegetation", "tree", "road"]).tolist() == [1, 2]
    assert matching(["minibike", "road"], ["motorbike", "motorcycle", "road"]).tolist() == [NONE, 2]
    assert matching(["CAR", "road"], ["Car", "car", "road"]).tolist() == [NONE, 2]


def test_signs_alone_say_nothing() -> None:
    assert matching(["🌳", "road"], ["road", "🚗"]).tolist() == [NONE, 0]


def test_torchvisions_categories_are_pascals() -> None:
    from torchvision.models.segmentation import FCN_ResNet50_Weights

    theirs = FCN_ResNet50_Weights.DEFAULT.meta["categories"]
    assert matching(theirs, voc.CLASSES).tolist() == list(range(21))


def test_a_few_other_spellings_among_as_many_classes_are_the_same_classes() -> None:
    assert matching(["sky", "car", "bike lane"], ["Sky", "Car", "cycle path"]).tolist() == [0, 1, 2]
    assert matching(["sky", "bike lane", "car"], ["Sky", "Car", "cycle path"]).tolist() == [0, NONE, 1]


def test_classes_without_names_meet_in_order() -> None:
    assert matching(["LABEL_0", "LABEL_1"], ["cat", "dog"]).tolist() == [0, 1]
    assert matching(["cat", "dog"], ["0", "1"]).tolist() == [0, 1]


@pytest.mark.parametrize(
    "model", [("cat", "dog", "fish"), ("LABEL_0", "LABEL_1"), ("cat", "dog", "fish", "owl")]
)
def test_nothing_in_common_is_one_sentence(model: tuple[str, ...]) -> None:
    with pytest.raises(
        UserError, match=r"classes \(\w+, \w+.*\) and the data set's 3 \(road.*no name in common"
    ):
        matching(model, ["road", "sky", "tree"])
