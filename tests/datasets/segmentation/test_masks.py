"""Masks as files: bit depths and palettes, wrong sizes and values, hostile bytes, and what a fingerprint tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpq.datasets.segmentation.base import Scene, Scenes, read_values
from mpq.samples import SampleError

VALUES = np.array([[0, 1, 2], [2, 3, 3]], np.uint8)


def scene(
    folder: Path, mask: Image.Image | bytes, name: str = "m.png", picture: Image.Image | None = None
) -> Scene:
    path = folder / name
    if isinstance(mask, bytes):
        path.write_bytes(mask)
    else:
        mask.save(path)
    (picture or Image.new("RGB", (3, 2))).save(folder / "p.png")
    return Scene("p.png", folder / "p.png", mask=path)


def of(*scenes: Scene, classes: int = 3, unlabelled: tuple[int, ...] = (3,)) -> Scenes:
    names = tuple(f"class {i}" for i in range(classes))
    return Scenes("x", scenes, names, values=tuple(range(classes)), unlabelled=unlabelled)


def palette() -> Image.Image:
    image = Image.fromarray(VALUES, "L").convert("P")
    image.putdata(VALUES.ravel().tolist())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    return image


def bits16() -> Image.Image:
    return Image.fromarray(VALUES.astype(np.uint16))


@pytest.mark.parametrize("make", [lambda: Image.fromarray(VALUES), palette, bits16])
@pytest.mark.parametrize("name", ["m.png", "m.tif"])
def test_values_come_as_they_are_stored(make, name: str, tmp_path: Path) -> None:
    one = scene(tmp_path, make(), name)
    assert read_values(one.mask).tolist() == VALUES.tolist()
    assert of(one).read_mask(one).tolist() == [[0, 1, 2], [2, 255, 255]]


def test_a_mask_of_two_values(tmp_path: Path) -> None:
    one = scene(tmp_path, Image.fromarray(VALUES > 1))
    assert of(one).read_mask(one).tolist() == [[0, 0, 1], [1, 1, 1]]


def test_more_classes_than_bytes_count(tmp_path: Path) -> None:
    one = scene(tmp_path, Image.fromarray(np.array([[0, 299, 300], [299, 65_535, 7]], np.uint16)))
    many = of(one, classes=300, unlabelled=(300, 65_535))
    read = many.read_mask(one)
    assert many.ignored == 65_535
    assert read.dtype == np.uint16
    assert read.tolist() == [[0, 299, 65_535], [299, 65_535, 7]]


def test_a_mask_of_another_size_is_a_failed_sample(tmp_path: Path) -> None:
    one = scene(tmp_path, Image.fromarray(VALUES.T))
    with pytest.raises(SampleError, match=r"m\.png is 2 × 3 pixels, its picture 3 × 2"):
        of(one).read_mask(one)


def test_a_turned_picture_has_the_size_that_it_is_shown_in(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (2, 3)).save(tmp_path / "p.jpg", exif=exif)
    Image.fromarray(VALUES).save(tmp_path / "m.png")
    one = Scene("p.jpg", tmp_path / "p.jpg", mask=tmp_path / "m.png")
    assert of(one).read_mask(one).shape == (2, 3)


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (Image.fromarray(VALUES + 4), "has the value 4, which is no class"),
        (Image.new("RGB", (3, 2)), "pixels of mode 'RGB', not class indices"),
        (Image.new("F", (3, 2)), "pixels of mode 'F'"),
        (b"", r"the mask m\.tif: not a picture"),
        (b"II*\0 junk", r"the mask m\.tif"),
    ],
)
def test_a_mask_that_is_none_is_a_failed_sample(
    mask: Image.Image | bytes, sentence: str, tmp_path: Path
) -> None:
    one = scene(tmp_path, mask, "m.tif")
    with pytest.raises(SampleError, match=sentence):
        of(one).read_mask(one)


def test_a_mask_cut_short_and_one_that_is_gone(tmp_path: Path) -> None:
    one = scene(tmp_path, Image.effect_noise((300, 200), 90), picture=Image.new("RGB", (300, 200)))
    assert one.mask is not None
    one.mask.write_bytes(one.mask.read_bytes()[:2000])
    with pytest.raises(SampleError, match="broken PNG picture"):
        of(one, classes=256).read_mask(one)
    one.mask.unlink()
    with pytest.raises(SampleError, match="No such file"):
        of(one).read_mask(one)


def test_a_picture_whose_header_is_broken(tmp_path: Path) -> None:
    one = scene(tmp_path, Image.fromarray(VALUES))
    one.path.write_bytes(b"\x89PNG\r\n\x1a\n no more")
    with pytest.raises(SampleError, match="broken picture"):
        of(one).read_mask(one)


def test_a_fingerprint_knows_masks_and_what_their_values_mean(tmp_path: Path) -> None:
    one = scene(tmp_path, Image.fromarray(VALUES))
    first = of(one).fingerprint
    assert of(one).fingerprint == first
    assert of(one, unlabelled=(3, 4)).fingerprint != first
    assert replace(of(one), values=(1, 0, 2)).fingerprint != first
    assert of(one).without_labels().fingerprint != first
    changed = scene(tmp_path, Image.fromarray(VALUES[::-1].copy()))
    assert of(changed).fingerprint != first


def test_without_labels_no_mask_is_read(tmp_path: Path) -> None:
    bare = of(scene(tmp_path, Image.fromarray(VALUES))).without_labels()
    assert not bare.labelled
    assert bare.classes == bare.values == ()
    assert bare.sources[0].companions == ()
