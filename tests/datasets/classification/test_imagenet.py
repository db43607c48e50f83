"""ImageNet's validation folder: four forms of ground truth, and the trap in the devkit's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mpq.datasets.base import read_dataset
from mpq.errors import UserError


@pytest.fixture
def val(tmp_path: Path) -> Path:
    folder = tmp_path / "val"
    folder.mkdir()
    for i in (1, 2, 3):
        Image.new("RGB", (4, 4)).save(folder / f"ILSVRC2012_val_{i:08d}.JPEG")
    return folder


def test_the_devkits_numbers_are_mapped_through_meta_mat(val: Path) -> None:
    # ILSVRC2012_ID 1 is the kit fox, whose class index is 278: read as an index it would be a goldfish.
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O")]
    synsets = np.array([(1, "n02119789"), (2, "n02100735"), (490, "n01440764")], dtype=kind)
    devkit = val.parent / "ILSVRC2012_devkit_t12" / "data"
    devkit.mkdir(parents=True)
    savemat(devkit / "meta.mat", {"synsets": synsets})
    (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text("490\n1\n2\n")
    assert [s.label for s in read_dataset(str(val)).sources] == ["n01440764", "n02119789", "n02100735"]


def test_the_devkits_numbers_alone_are_refused(val: Path) -> None:
    (val / "ILSVRC2012_validation_ground_truth.txt").write_text("490\n1\n2\n")
    with pytest.raises(UserError, match=r"meta\.mat"):
        read_dataset(str(val))


def test_kaggles_table(val: Path) -> None:
    rows = [f"ILSVRC2012_val_{i:08d},n0144076{i} 1 2 3 4 n0144076{i} 5 6 7 8 " for i in (2, 1, 3)]
    (val.parent / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))
    assert [s.label for s in read_dataset(str(val)).sources] == ["n01440761", "n01440762", "n01440763"]


def test_caffes_list_and_a_picture_that_it_does_not_name(val: Path) -> None:
    (val / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG 65\nILSVRC2012_val_00000003.JPEG 970\n")
    dataset = read_dataset(str(val))
    assert [s.label for s in dataset.sources] == ["65", "970"]
    assert dataset.problems == ("the ground truth does not name ILSVRC2012_val_00000002",)


@pytest.mark.parametrize("name", ["val.txt", "LOC_val_solution.csv"])
def test_a_ground_truth_that_is_no_text_is_one_sentence(val: Path, name: str) -> None:
    (val / name).write_bytes(b"caf\xe9 1\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_dataset(str(val))


def test_a_damaged_meta_mat_is_one_sentence(val: Path) -> None:
    (val / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n1\n1\n")
    (val / "meta.mat").write_bytes(b"junk" * 100)
    with pytest.raises(UserError, match=r"meta\.mat is not the devkit's"):
        read_dataset(str(val))


def test_no_ground_truth_is_one_sentence(val: Path) -> None:
    with pytest.raises(UserError, match="none of .*--no-labels"):
        read_dataset(str(val))
