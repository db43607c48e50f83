"""Any ONNX file, through onnxruntime on the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mpq.errors import UserError, first_line
from mpq.weights.sources import sha256_of
from reid.backbones.base import Backbone, BackboneSource
from reid.backbones.preprocessing import OPTIONS, Preprocessing

if TYPE_CHECKING:
    import torch

_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class Onnx(BackboneSource):
    """A file with one picture input, (B, 3, h, w) or (B, h, w, 3) of floats. Size and batch size are the input's where
    it fixes them; pictures are else 256×128. Normalisation is ImageNet's unless told. Of several outputs the one
    that has a row a picture is taken, or ``output=NAME``. It runs on as many threads as torch has."""

    name = "onnx"
    summary = "any ONNX file; mean and std, channel order and size as options"
    variants = "onnx:FILE, onnx:FILE,channels=bgr,mean=0.5,std=0.5,size=256x128"
    by_file = True
    options: ClassVar[Mapping[str, str]] = {
        **OPTIONS,
        "output": "the output to take, where there are several",
    }

    def load(self, variant: str, weights: Path | None, options: Mapping[str, str]) -> Backbone:
        assert weights is not None
        if why := self.unavailable():
            raise UserError(f"onnx: {why}")
        spec = f"{self.name}:{weights.name}"
        session = _session(weights)
        shape, last = _picture_input(session, spec)
        preprocess = Preprocessing().changed(options, spec)
        fixed = tuple(
            own if isinstance(own, int) and own > 0 else wanted
            for own, wanted in zip(shape, preprocess.size, strict=True)
        )
        if "size" in options and fixed != preprocess.size:
            raise UserError(f"{spec} takes {fixed[0]}x{fixed[1]} alone, not {options['size']}")
        preprocess = replace(preprocess, size=(fixed[0], fixed[1]))
        network = _Network(session, last)
        network.output = _output(network, preprocess.size, options.get("output"), spec)
        return Backbone.of(
            spec, network, preprocess, weights, ("onnxruntime",), f"output {network.output}{_beside(weights)}"
        )

    @classmethod
    def unavailable(cls) -> str | None:
        if importlib.util.find_spec("onnxruntime"):
            return None
        return "the package 'onnxruntime' is not installed"


def _beside(path: Path) -> str:
    """In words the hash of weights that are kept beside the file, where exporters put those of big networks."""
    files = (path.with_name(f"{path.name}.data"), path.with_name(f"{path.name}_data"))
    return "".join(f", {file.name} {sha256_of(file)}" for file in files if file.is_file())


class _Network:
    """(B, 3, h, w) -> (B, D), in batches of the size that the file wants. last: channels come last in it."""

    def __init__(self, session: Any, last: bool) -> None:
        (entry,) = session.get_inputs()
        self.session, self.last = session, last
        self.input, self.type = entry.name, _FLOATS[entry.type]
        self.batch = entry.shape[0] if isinstance(entry.shape[0], int) and entry.shape[0] > 0 else None
        self.output = ""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        import torch

        step = self.batch or len(x)
        answers = [self.run(x[i : i + step].numpy(), [self.output])[0] for i in range(0, len(x), step)]
        rows = np.concatenate(answers)
        return torch.from_numpy(rows.reshape(len(rows), -1).astype(np.float32, copy=False))

    def run(self, pictures: np.ndarray, outputs: list[str] | None) -> list[np.ndarray]:
        """Outputs for up to a batch of pictures, those cut that a fixed batch has to be filled up with."""
        count = len(pictures)
        if self.batch and count < self.batch:
            pictures = np.concatenate([pictures, pictures[-1:].repeat(self.batch - count, axis=0)])
        given = pictures.transpose(0, 2, 3, 1) if self.last else pictures
        given = np.ascontiguousarray(given, dtype=self.type)
        answers = self.session.run(outputs, {self.input: given})
        return [a[:count] if a.ndim and len(a) == len(pictures) else a for a in answers]


def _session(path: Path) -> Any:
    import onnxruntime
    import torch

    onnxruntime.disable_telemetry_events()  # some of its builds report to their makers
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what is wrong is raised, too
    # Spinning threads would take the time of the pictures that are read meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own, one for each way to be wrong
        raise UserError(f"{path} is no ONNX file that can be run: {first_line(error)}") from None


def _picture_input(session: Any, spec: str) -> tuple[tuple[Any, Any], bool]:
    """(height, width), names or None where the file leaves them open, and whether channels come last."""
    entries = session.get_inputs()
    if len(entries) != 1:
        raise UserError(f"{spec} has {len(entries)} inputs, not one for pictures")
    entry = entries[0]
    if entry.type not in _FLOATS or len(entry.shape) != 4:
        raise UserError(
            f"{spec} takes {entry.type} of shape {entry.shape}, not pictures (B, 3, h, w) of floats"
        )
    if entry.shape[3] == 3 and entry.shape[1] != 3:
        return (entry.shape[1], entry.shape[2]), True
    if isinstance(entry.shape[1], int) and entry.shape[1] != 3:
        raise UserError(f"{spec} takes {entry.shape[1]} channels, not 3")
    return (entry.shape[2], entry.shape[3]), False


def _output(network: _Network, size: tuple[int, int], wanted: str | None, spec: str) -> str:
    """The name of the output that is a feature. Raises UserError where it is not clear which."""
    names = [entry.name for entry in network.session.get_outputs()]
    if wanted is not None:
        if wanted not in names:
            raise UserError(f"{spec} has no output '{wanted}'; there are: {', '.join(names)}")
        return wanted
    if len(names) == 1:
        return names[0]
    try:
        answers = network.run(np.zeros((1, 3, *size), np.float32), None)
    except Exception as error:
        raise UserError(f"{spec} does not run on {size[0]}x{size[1]}: {first_line(error)}") from None
    rows = [n for n, a in zip(names, answers, strict=True) if a.ndim >= 2 and a.size == a.shape[1] > 1]
    if len(rows) != 1:
        raise UserError(f"{spec} has {len(names)} outputs: say output=NAME, one of {', '.join(names)}")
    return rows[0]
