"""Masks as files: bit depths and palettes, wrong sizes and values, hostile bytes, and what a fingerprint tells."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpq.datasets.segmentation.base import Scene, Scenes
from mpq.datasets.segmentation.mask_files import LOOKED_AT, read_values, values_in
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


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """As the PNG specification packs few bits: each row from the left, highest bits first, padded to a byte."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width = values.shape
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row for row in packed(values, bits))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def grey_tiff(values: np.ndarray, bits: int) -> bytes:
    """One strip, black is 0."""
    height, width = values.shape
    strip = b"".join(packed(values, bits))
    tags = [
        (256, width),
        (257, height),
        (258, bits),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(strip)),
    ]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(strip))
    return head + strip + struct.pack("<H", len(tags)) + directory + struct.pack("<I", 0)


def packed(values: np.ndarray, bits: int) -> list[bytes]:
    planes = (values[..., None] >> np.arange(bits)[::-1]) & 1
    return [row.tobytes() for row in np.packbits(planes.reshape(len(values), -1).astype(np.uint8), axis=1)]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("make", [grey_png, grey_tiff])
def test_grey_of_few_bits_is_not_spread_over_a_byte(make, bits: int, tmp_path: Path) -> None:
    values = np.arange(15).reshape(3, 5) % 2**bits
    (tmp_path / "m.png").write_bytes(make(values, bits))
    read = read_values(tmp_path / "m.png")
    assert (read.dtype, read.tolist()) == (np.uint8, values.tolist())


@pytest.mark.parametrize("highest", [1, 11, 100, 254, 255, 256, 4095, 65_535])
@pytest.mark.parametrize("magic", [b"P2", b"P5"])
def test_a_pgm_of_a_range_of_its_own_is_not_spread_over_all(
    magic: bytes, highest: int, tmp_path: Path
) -> None:
    values = np.unique(np.linspace(0, highest, 300).astype(int))[None]
    if magic == b"P2":
        pixels = b" ".join(b"%d" % v for v in values[0])
    else:
        pixels = values.astype("u1" if highest < 256 else ">u2").tobytes()
    header = b"%s # by hand\n%d 1\n# 11 12 13\n%d\n" % (magic, values.size, highest)
    (tmp_path / "m.pgm").write_bytes(header + pixels)
    assert read_values(tmp_path / "m.pgm").tolist() == values.tolist()


def test_numbers_of_32_bits_are_what_they_are(tmp_path: Path) -> None:
    one = scene(tmp_path, Image.fromarray(VALUES.astype(np.int32)), "m.tif")
    assert of(one).read_mask(one).tolist() == [[0, 1, 2], [2, 255, 255]]
    one = scene(tmp_path, Image.fromarray(VALUES.astype(np.int32) - 1), "m.tif")
    with pytest.raises(SampleError, match="pixels of mode 'I'"):
        of(one).read_mask(one)


def test_masks_are_looked_through_until_all_is_known(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(4 * LOOKED_AT)]
    for i, path in enumerate(paths):
        Image.fromarray(VALUES + (i == 4)).save(path)
    assert values_in(paths, frozenset([9])) == ({0, 1, 2, 3, 4}, LOOKED_AT)
    assert values_in(paths, frozenset([4])) == ({0, 1, 2, 3, 4}, 2)
    paths[0].write_bytes(b"no picture")
    assert values_in(paths[:1], frozenset([9])) == (frozenset(), 0)
    assert values_in([], frozenset([9])) == (frozenset(), 0)


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
