"""What the tests share: real photographs, and the command line run in this process."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

os.environ["HF_HUB_OFFLINE"] = "1"  # no test waits for a hub; what needs one is marked
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the suite itself takes the cores

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"needs the test data in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def photographs() -> list[Path]:
    """The 20 embedded photographs: real pictures on every machine."""
    from mpq.datasets.base import read_dataset

    return [source.path for source in read_dataset("embedded").sources]


@pytest.fixture
def noise() -> Callable[..., Image.Image]:
    def make(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return Image.fromarray(pixels).convert(mode)

    return make


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    def make(image: Image.Image, format: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, format, **options)
        return file.getvalue()

    return make


class Result(NamedTuple):
    status: int
    out: str
    err: str


def _runner(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    import cli

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            getattr(cli, f"{name}_main")()
        captured = capsys.readouterr()
        return Result(int(stop.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def mpq(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs ``mpq ARGUMENTS`` in this process."""
    return _runner("mpq", monkeypatch, capsys)


@pytest.fixture
def reid(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs ``reid ARGUMENTS`` in this process."""
    return _runner("reid", monkeypatch, capsys)


def one_sentence(result: Result) -> str:
    """The complaint of a command that was given bad input: one line on stderr, status 2, no traceback."""
    assert result.status == 2, result
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith(("mpq: ", "reid: "))
    return lines[0]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks on one thread, as codecs run in workers, for all of a module's tests."""
    from mpq.networks import coders

    with coders.one_thread():
        yield
