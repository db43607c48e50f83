"""A codec in somebody else's package: pip install is all it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "mpq-halve"
version = "1"
[project.entry-points."mpq.codecs"]
halve = "halve:Halve"
[tool.setuptools]
py-modules = ["halve"]
"""

CODEC = '''
import numpy as np
from mpq.codecs.base import Bitstream, Codec, CodecError, Parameter
from mpq.samples import ImageSample


class Halve(Codec):
    """Raw pixels with their low bits cleared, and the size in front."""

    name = "halve"
    summary = "raw pixels with some bits cleared"
    extension = ".raw"
    version = "1"
    parameters = (Parameter("bits", 4, "kept a channel", 1, 8),)
    ladder = "bits=2,4"

    def encode(self, sample):
        low = 8 - int(self.values["bits"])
        pixels = (sample.pixels >> low << low).tobytes()
        return Bitstream(sample.width.to_bytes(4, "big") + sample.height.to_bytes(4, "big") + pixels, 8 * len(pixels))

    def decode(self, data):
        width, height = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
        if len(data) != 8 + 3 * width * height:
            raise CodecError("halve bitstream: wrong length")
        return ImageSample(np.frombuffer(data[8:], np.uint8).reshape(height, width, 3).copy())
'''


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The plug-in, installed by pip into a folder that is put on the path."""
    source, target = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "halve.py").write_text(CODEC)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True)
    return target


def test_an_installed_codec_is_listed_and_swept(installed: Path, tmp_path: Path) -> None:
    def mpq(*arguments: str) -> str:
        command = [sys.executable, "-m", "cli", *arguments]
        return subprocess.run(
            command, env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
        ).stdout  # fmt: skip

    assert "halve" in mpq("codecs")
    out = mpq(
        "sweep",
        "--codec",
        "halve",
        "--limit",
        "2",
        "--workers",
        "2",
        "--out",
        str(tmp_path / "run"),
        "--json",
    )
    points = json.loads(out)[0]["points"]
    assert [p["setting"] for p in points if p["codec"] == "halve"] == ["bits=2", "bits=4"]
    assert all(24 < p["bpp"]["value"] < 24.01 for p in points if p["codec"] == "halve")
