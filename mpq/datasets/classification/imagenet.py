"""ImageNet-1k's validation folder, with whichever ground truth lies beside it."""

from __future__ import annotations

import re
from pathlib import Path

from mpq.datasets.base import IMAGE_SUFFIXES, Dataset, DatasetReader, Source, files_in
from mpq.errors import UserError
from mpq.paths import user_path

_NAME = re.compile(r"ILSVRC2012_val_(\d{8})$")


class ImageNetVal(DatasetReader):
    """Flat ``ILSVRC2012_val_00000001.JPEG`` … and one of:

    * ``ILSVRC2012_validation_ground_truth.txt`` with ``meta.mat``, from the devkit. Its numbers are
      ILSVRC2012_IDs, which are *not* the class indices that models answer with: meta.mat maps them.
    * ``LOC_val_solution.csv`` (Kaggle's), ``val.txt`` (Caffe's: file name, class index).

    Sought in the folder, in the folder above, and in ``ILSVRC2012_devkit_t12/data`` in either. A validation
    set that was sorted into folders by WordNet id is an ImageFolder.
    """

    name = "imagenet"
    summary = "ImageNet-1k validation, flat, with its ground truth"
    layout = "ILSVRC2012_val_*.JPEG and the devkit's, Kaggle's or Caffe's ground truth"
    priority = 20

    def recognises(self, folder: Path) -> bool:
        return any(_NAME.match(path.stem) for path in folder.glob("ILSVRC2012_val_*"))

    def read(self, argument: str, labels: str | None) -> Dataset:
        folder = user_path(argument)
        paths = {path.stem: path for path in files_in(folder, IMAGE_SUFFIXES) if _NAME.match(path.stem)}
        if not paths:
            raise UserError(f"'{argument}' holds no ILSVRC2012_val_*.JPEG")
        truth = _ground_truth(folder, labels)
        problems = [f"the ground truth does not name {stem}" for stem in paths if stem not in truth]
        sources = [Source(path.name, path, truth[stem]) for stem, path in paths.items() if stem in truth]
        return Dataset("imagenet-val", tuple(sources), problems=tuple(problems))


def _ground_truth(folder: Path, labels: str | None) -> dict[str, str]:
    """File stem -> class index or WordNet id."""
    bases = [base / sub for base in (folder, folder.parent) for sub in (".", "ILSVRC2012_devkit_t12/data")]
    readers = {
        "ILSVRC2012_validation_ground_truth.txt": _devkit,
        "LOC_val_solution.csv": _kaggle,
        "val.txt": _caffe,
    }
    named = [user_path(labels)] if labels else [base / name for base in bases for name in readers]
    for path in named:
        if path.is_file():
            reader = readers.get(path.name)
            if reader is None:
                raise UserError(f"{path} is none of {', '.join(readers)}")
            return reader(path)
    raise UserError(
        f"'{folder}' looks like ImageNet's validation set, but none of {', '.join(readers)} lies in it or "
        "beside it; without a ground truth use --no-labels"
    )


def _lines(path: Path) -> list[list[str]]:
    return [line.split() for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from None


def _devkit(path: Path) -> dict[str, str]:
    from scipy.io import loadmat

    meta = path.parent / "meta.mat"
    if not meta.is_file():
        raise UserError(
            f"{path} counts in ILSVRC2012_IDs: put the devkit's meta.mat beside it, which says what they mean"
        )
    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
        wnid = {int(s["ILSVRC2012_ID"]): str(s["WNID"]) for s in synsets}
    except Exception as error:  # scipy's readers raise whatever a damaged file provokes
        raise UserError(f"{meta} is not the devkit's table of synsets: {error}") from None
    numbers = [row[0] for row in _lines(path)]
    try:
        return {f"ILSVRC2012_val_{i:08d}": wnid[int(n)] for i, n in enumerate(numbers, start=1)}
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: {error} is not an ILSVRC2012_ID of {meta}") from None


def _kaggle(path: Path) -> dict[str, str]:
    # ImageId,PredictionString — the string begins with the WordNet id, then a box
    rows = [line.split(",", 1) for line in _text(path).splitlines()[1:] if line.strip()]
    if any(len(row) != 2 or not row[1].strip() for row in rows):
        raise UserError(f"{path} is not Kaggle's table of ImageId,PredictionString")
    return {row[0].strip(): row[1].split()[0] for row in rows}


def _caffe(path: Path) -> dict[str, str]:
    rows = _lines(path)
    if any(len(row) != 2 for row in rows):
        raise UserError(f"{path} is not a list of 'file class_index' lines")
    return {Path(file).stem: index for file, index in rows}
