"""Moonshine tiny, whose weights are inside the ``moonshine-voice`` wheel, through plain onnxruntime.

Jeffries et al. 2024, arXiv:2410.15608. The wheel's own code, which needs a native library, is never imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mpq.errors import UserError, first_line
from mpq.models.base import ModelSource
from mpq.models.speech.base import WINDOW, Recogniser, Transcribe, cut_at_pauses, one_by_one
from mpq.weights.sources import in_wheel, locate, sha256_of

PACKAGE, FOLDER = "moonshine_voice", "assets/tiny-en"
SHA256 = {
    "encoder_model.ort": "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    "decoder_model_merged.ort": "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    "tokenizer.bin": "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
}

RATE = 16_000
FRAME = 384
"""Samples a frame of the encoder: its three convolutions stride 64, 3 and 2. The decoder's mask is in samples."""

TOKENS_A_SECOND = 6.5
"""The authors' limit; without it noise ends in endless repetitions."""

START, END = 1, 2
"""Tokens that begin and end every text; 0 is unknown."""


class Moonshine(ModelSource):
    """The wheel's; ``--weights FOLDER`` takes another Moonshine in the same three files."""

    name = "moonshine"
    task = "speech"
    summary = "Moonshine tiny, English, 27 M parameters, inside a wheel (MIT)"

    def load(self, variant: str, weights: Path | None) -> Recogniser:
        import onnxruntime

        files, hashes = _files(weights)
        return Recogniser(
            name=self.name,
            open=lambda device: _open(files, device),
            rate=RATE,
            weights_sha256=hashes["decoder_model_merged.ort"],
            preprocessing=f"mono at {RATE} Hz; cut at pauses into parts of at most {WINDOW:g} s",
            version=f"onnxruntime {onnxruntime.__version__}",
            configuration=f"greedy, at most {TOKENS_A_SECOND} tokens a second; "
            + ", ".join(f"{name} {sha256}" for name, sha256 in sorted(hashes.items())),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        if all(locate(PACKAGE, f"{FOLDER}/{name}") for name in SHA256):
            return None
        return "the package 'moonshine-voice' is not installed in version 0.1.0, the one that holds the model"


def _files(weights: Path | None) -> tuple[dict[str, Path], dict[str, str]]:
    """By name: the three files, and their sha256. Raises UserError."""
    if weights is None:
        return {
            name: in_wheel(PACKAGE, f"{FOLDER}/{name}", sha256) for name, sha256 in SHA256.items()
        }, SHA256
    files = {name: weights / name for name in SHA256}
    if missing := [name for name, path in files.items() if not path.is_file()]:
        raise UserError(
            f"moonshine: weights are a folder with {', '.join(SHA256)}; '{weights}' lacks {missing[0]}"
        )
    return files, {name: sha256_of(path) for name, path in files.items()}


def _open(files: dict[str, Path], device: str) -> Transcribe:
    try:
        encoder, decoder = (
            _session(files[name], device) for name in ("encoder_model.ort", "decoder_model_merged.ort")
        )
        caches = {entry.name: entry.shape for entry in decoder.get_inputs() if entry.name.startswith("past_")}
        empty = {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in caches.items()}
        if not empty:
            raise ValueError("the decoder has no inputs past_key_values")
    except Exception as error:  # onnxruntime's own, of a type for each cause
        folder = files["encoder_model.ort"].parent
        raise UserError(
            f"{folder} holds no Moonshine that onnxruntime can run: {first_line(error)}"
        ) from None
    pieces = token_texts(files["tokenizer.bin"].read_bytes(), str(files["tokenizer.bin"]))
    network = _Network(encoder, decoder, empty)

    def transcribe(sound: np.ndarray) -> str:
        parts = (network.tokens(part) for part in cut_at_pauses(sound, RATE))
        return " ".join(filter(None, (spelled(tokens, pieces) for tokens in parts)))

    return one_by_one(transcribe)


def _session(path: Path, device: str) -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # some of its builds report to their makers
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what is wrong is raised, too
    # Builds without CUDA, which are the usual ones, answer the same on the CPU.
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    there = [provider for provider in wanted if provider in onnxruntime.get_available_providers()]
    return onnxruntime.InferenceSession(path, options, providers=[*there, "CPUExecutionProvider"])


class _Network:
    """Encoder, and the decoder with its cache of keys and values. empty: the cache before the first token."""

    def __init__(self, encoder: Any, decoder: Any, empty: dict[str, np.ndarray]) -> None:
        self.encoder, self.decoder, self.empty = encoder, decoder, empty
        self.outputs = [entry.name for entry in decoder.get_outputs()]

    def tokens(self, sound: np.ndarray) -> list[int]:
        """The likeliest token at each step, until the end or the limit. sound: (n,) float32, n ≥ 1,600."""
        batch = np.ascontiguousarray(sound[None], np.float32)
        mask = np.ones(batch.shape, np.int64)
        (states,) = self.encoder.run(None, {"input_values": batch, "attention_mask": mask})
        heard = {
            "encoder_hidden_states": states,  # (1, frames, width)
            "encoder_attention_mask": np.ones((1, states.shape[1] * FRAME), np.int64),
        }
        cache, token, tokens = dict(self.empty), START, list[int]()
        for step in range(int(len(sound) / RATE * TOKENS_A_SECOND) or 1):
            given = {
                "input_ids": np.array([[token]]),
                "use_cache_branch": np.array([step > 0]),
                **heard,
                **cache,
            }
            logits, *present = self.decoder.run(self.outputs, given)
            token = int(logits[0, -1].argmax())
            if token == END:
                break
            tokens.append(token)
            for name, value in zip(self.outputs[1:], present, strict=True):
                # The encoder's keys and values come with the first step alone.
                if step == 0 or ".decoder." in name:
                    cache[name.replace("present", "past_key_values")] = value
        return tokens


def token_texts(data: bytes, name: str) -> list[bytes]:
    """``tokenizer.bin``: the bytes of each token in the order of their numbers, each behind its length.

    A length from 128 on takes two bytes, the lower seven bits first and marked by the eighth. Raises UserError.
    """
    texts, position = [], 0
    while position < len(data):
        size, position = data[position], position + 1
        if size >= 128 and position < len(data):
            size, position = size - 128 + 128 * data[position], position + 1
        texts.append(data[position : position + size])
        if len(texts[-1]) != size:
            raise UserError(f"{name} is no list of tokens: it ends within the one numbered {len(texts) - 1}")
        position += size
    return texts


def spelled(tokens: list[int], texts: list[bytes]) -> str:
    """The tokens' bytes as text: "▁" stands for a space; control tokens, in angle brackets, for nothing."""
    bytes_ = b"".join(texts[t] for t in tokens if t > END and t < len(texts) and not _is_control(texts[t]))
    return bytes_.decode("utf-8", "replace").replace("▁", " ").strip()


def _is_control(text: bytes) -> bool:
    return text.startswith(b"<<") and text.endswith(b">>")
