"""A sound that is small and real enough: a tenth of a second of a tone, as a file of any format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def tone() -> Callable[..., Path]:
    """Writes a tone of ``hertz`` as the file's ending says, and its folders where they are not there."""

    def write(path: Path, hertz: float = 440) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = 0.2 * np.sin(2 * np.pi * hertz * np.arange(1600) / 16_000)
        soundfile.write(path, samples, 16_000)
        return path

    return write
