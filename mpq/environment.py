"""What a run was made with: for its folder, so that a result can be explained years later."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mpq import __version__

PACKAGES = (
    "numpy",
    "torch",
    "torchvision",
    "torchaudio",
    "timm",
    "transformers",
    "pillow",
    "av",
    "soundfile",
    "faster-whisper",
    "ctranslate2",
    "jiwer",
    "pyarrow",
    "scipy",
    "pytorch-msssim",
    "compressai",
    "onnxruntime",
    "faiss-gpu",
)


def environment() -> dict[str, Any]:
    return {
        "mpq": __version__,
        "directory": str(Path.cwd()),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": _gpu(),
    }


def command() -> str:
    """The command line that is running."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def in_words(command: str, made: dict[str, Any]) -> dict[str, str]:
    """A command and the ``environment`` that it ran in, name -> words: how a report was made."""
    packages = ", ".join(f"{name} {number}" for name, number in made["packages"].items() if number)
    return {
        "command": command,
        "versions": f"mpq {made['mpq']}, Python {made['python']}, {packages}",
        "machine": ", ".join(filter(None, [made["processor"], f"{made['cores']} cores", made["gpu"]])),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _gpu() -> str | None:
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None
