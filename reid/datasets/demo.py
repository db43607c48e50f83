"""A small set that is drawn, so that every command runs on a fresh machine: 40 figures under six cameras.

It shows how things are done, not how well: nothing that is measured on it says anything of photographs.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mpq.errors import UserError
from mpq.weights.sources import sha256_of
from reid.datasets.base import ReidDataset, ReidReader
from reid.datasets.drawing import figure, person, scene, strokes
from reid.datasets.drawing.figure import Pose, draw_figure
from reid.datasets.drawing.person import Person, draw_person
from reid.datasets.drawing.scene import CAMERAS, OBSTACLES, Camera, background, expose, obstacle, shadow
from reid.datasets.files import crop_id, pictures_in
from reid.datasets.market import read_crops
from reid.protocols import MARKET

PEOPLE = 40
PER_CAMERA = 5
"""Pictures of somebody under a camera; the first is a query, the rest are in the gallery."""
DISTRACTORS = 24
JUNK = 16
SEED = 1501
ROLES = ("query", "bounding_box_test")

NOTES = (
    "The demo set is drawn by this program: its numbers mean nothing beyond themselves, least of all for photographs.",
)


class Demo(ReidReader):
    """Drawn once, into the user's cache (MPQ_CACHE, XDG_CACHE_HOME or ~/.cache) or below the root; then checked and read."""

    name = "demo"
    summary = "40 dressed figures under six cameras, drawn by this program: for trying things out, not for measuring"
    layout = "none: drawn at first use"
    counts = "100 queries of 40 identities; gallery 440 = 400 + 24 distractors + 16 junk"
    source = "this program"

    def read(self, root: Path | None, variant: str) -> ReidDataset:
        folder = drawn(root if root is not None else _cache())
        query, _ = read_crops(folder / "query")
        gallery, _ = read_crops(folder / "bounding_box_test")
        return ReidDataset(self.name, query, gallery, MARKET, NOTES)


def drawn(base: Path) -> Path:
    """The folder, below ``base``, with the set in Market's layout; drawn where it is not there or damaged.

    Its name holds a hash of the drawing programs. Several processes may draw at a time: each draws beside and
    renames. Raises UserError where nothing can be written.
    """
    modules = (figure, person, scene, strokes, sys.modules[__name__])
    programs = hashlib.sha256("".join(map(inspect.getsource, modules)).encode())
    folder = base / f"reid-demo-{programs.hexdigest()[:12]}"
    if _sound(folder):
        return folder
    try:
        base.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".reid-demo-", dir=base))
        try:
            _draw_into(beside)
            if folder.exists() and not _sound(folder):
                folder.rename(beside / "damaged")
            if not folder.exists():
                beside.rename(folder)
                shutil.rmtree(folder / "damaged", ignore_errors=True)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        if _sound(folder):  # somebody else was faster
            return folder
        raise UserError(
            f"the demo set cannot be drawn into '{base}': {error.strerror or error}; --root or MPQ_CACHE names another folder"
        ) from None
    return folder


def pictures() -> Iterator[tuple[str, np.ndarray]]:
    """Paths in Market's naming, and (128, 64, 3) uint8 pictures, always the same."""
    random = np.random.RandomState(SEED)
    people = [draw_person(random) for _ in range(PEOPLE)]
    for pid, somebody in enumerate(people, start=1):
        for camid in sorted(random.permutation(len(CAMERAS))[: 2 + pid % 2] + 1):
            camera = CAMERAS[camid - 1]
            # towards the camera or away from it, more than across
            walk = np.pi * random.randint(2) + 0.5 * random.uniform(-np.pi / 2, np.pi / 2)
            for shot in range(PER_CAMERA):
                role = ROLES[0] if shot == 0 else ROLES[1]
                name = f"{role}/{pid:04d}_c{camid}s1_{random.randint(10**6):06d}_{shot:02d}.png"
                yield name, _shot(somebody, people, camera, walk, random)
    for number in range(DISTRACTORS + JUNK):
        camid = 1 + random.randint(len(CAMERAS))
        who = "0000" if number < DISTRACTORS else "-1"
        name = f"{ROLES[1]}/{who}_c{camid}s1_{random.randint(10**6):06d}_{number:02d}.png"
        yield name, _stray(CAMERAS[camid - 1], random)


def _shot(
    somebody: Person, people: list[Person], camera: Camera, walk: float, random: np.random.RandomState
) -> np.ndarray:
    """Somebody walking: facing about as in the other shots of this walk, boxed as loosely as detectors box."""
    canvas = background(camera, random)
    size = random.uniform(110, 124)
    feet = (32 + random.uniform(-3, 3), 123 + random.uniform(-3, 3))
    if random.uniform() < 0.12:
        other = people[random.randint(len(people))]
        aside = (32 + _side(random) * random.uniform(22, 34), feet[1] - random.uniform(4, 12))
        _stand(canvas, other, camera, aside, 0.9 * size, random.uniform(-np.pi, np.pi), random)
    _stand(canvas, somebody, camera, feet, size, walk + random.uniform(-0.2, 0.2), random)
    if random.uniform() < 0.15:
        obstacle(canvas, OBSTACLES[random.randint(len(OBSTACLES))], random)
    return expose(canvas, camera, random)


def _stray(camera: Camera, random: np.random.RandomState) -> np.ndarray:
    """What a detector boxes by mistake: nobody, or a piece of somebody."""
    canvas = background(camera, random)
    if random.uniform() < 0.6:
        feet = (32 + _side(random) * random.uniform(14, 26), random.uniform(80, 230))
        size = random.uniform(110, 230)
        _stand(canvas, draw_person(random), camera, feet, size, random.uniform(-np.pi, np.pi), random)
    if random.uniform() < 0.6:
        obstacle(canvas, OBSTACLES[random.randint(len(OBSTACLES))], random)
    return expose(canvas, camera, random)


def _stand(
    canvas: np.ndarray,
    somebody: Person,
    camera: Camera,
    feet: tuple[float, float],
    size: float,
    facing: float,
    random: np.random.RandomState,
) -> None:
    pose = Pose(
        facing, random.uniform(0, 2 * np.pi), random.uniform(0.2, 0.5), size, feet, camera.pitch, camera.light
    )
    shadow(canvas, feet, size, camera.light)
    draw_figure(canvas, somebody, pose)


def _side(random: np.random.RandomState) -> int:
    return 2 * random.randint(2) - 1


def _draw_into(folder: Path) -> None:
    index: dict[str, str] = {}
    for name, pixels in pictures():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
        index[name] = sha256_of(path)
    (folder / "index.json").write_text(json.dumps(index))


def _sound(folder: Path) -> bool:
    """Whether all pictures, and no others, are there as they were written."""
    try:
        index: Any = json.loads((folder / "index.json").read_bytes())
        here = [path for role in ROLES for path in pictures_in(folder / role)]
        names = {crop_id(path.relative_to(folder)) for path in here}
        return names == set(index) and all(sha256_of(folder / name) == index[name] for name in names)
    except (OSError, ValueError, TypeError, UserError):
        return False


def _cache() -> Path:
    base = os.environ.get("MPQ_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "mpq"
    return Path(base).expanduser()
