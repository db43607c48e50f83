"""What the tests of data sets share: tiny pictures under whatever names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def placed(tmp_path: Path) -> Callable[[Path, Iterable[str]], Path]:
    """Puts one small JPEG into a folder under many names, as hard links, and gives the folder."""
    picture = tmp_path / "one.jpg"
    Image.new("RGB", (4, 8), (90, 60, 30)).save(picture)

    def place(folder: Path, names: Iterable[str]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(picture)
        return folder

    return place
