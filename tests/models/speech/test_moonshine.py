"""Moonshine tiny from its wheel on real speech, and its own tokens' file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.models.speech.base import Recogniser
from mpq.models.speech.moonshine import SHA256, spelled, token_texts
from mpq.weights.sources import locate
from tests.models.speech.wer import NARRATIVE, read_speech, wer, wer_after

RATE = 16_000


@pytest.fixture(scope="module")
def moonshine() -> Recogniser:
    return load_model("speech", "moonshine").on("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The wheel's files, copied."""
    for name in SHA256:
        path = locate("moonshine_voice", f"assets/tiny-en/{name}")
        assert path
        shutil.copyfile(path, tmp_path / name)
    return tmp_path


def test_a_sentence_is_spelled_as_the_wheels_own_library_spells_it(
    moonshine: Recogniser, shared: Path
) -> None:
    """Its ``Transcriber`` was asked once, by hand; where its voice detector cuts nothing off, the texts are equal."""
    names = "cards_001.wav", "cards_005.wav", "librivox_0870.wav"
    sounds = [moonshine.preprocess(sample) for sample, _ in read_speech(shared, *names)]
    assert moonshine.transcripts(sounds) == [
        "Ten of clubs.",
        "Eight of spades, four of cloves, seven of hearts.",
        "And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power to do for "
        "them.",
    ]


def test_word_errors_grow_as_the_bit_rate_falls(moonshine: Recogniser, shared: Path) -> None:
    speech = read_speech(shared, *NARRATIVE)
    clean, middle, low = (
        wer_after(spec, moonshine, speech) for spec in ("none", "opus:bitrate=6000", "mp3:bitrate=8000")
    )
    assert clean < 0.05
    assert clean < middle < low


def test_forty_four_seconds_are_heard_to_the_end(
    moonshine: Recogniser, two_cities: np.ndarray, read_text: str
) -> None:
    (text,) = moonshine.transcripts([two_cities])
    assert wer([read_text], [text]) < 0.02


def test_texts_do_not_depend_on_what_else_is_asked(moonshine: Recogniser, two_cities: np.ndarray) -> None:
    sounds = [two_cities[: 3 * RATE], np.zeros(RATE, np.float32), two_cities[5 * RATE : 9 * RATE]]
    together = moonshine.transcripts(sounds)
    assert together == [moonshine.transcripts([sound])[0] for sound in sounds]
    assert "times" in together[0]


@pytest.mark.parametrize("length", [1, 160, 1600, 3200])
def test_sounds_too_short_for_a_word_are_answered(moonshine: Recogniser, length: int) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
    assert len(moonshine.transcripts([sound])[0].split()) <= 1


def test_noise_does_not_end_in_endless_repetitions(moonshine: Recogniser) -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, 4 * RATE).astype(np.float32)
    assert len(moonshine.transcripts([noise])[0].split()) <= 26


def test_tokens_are_read_by_their_lengths() -> None:
    long = b"x" * 200
    data = b"\x03<s>" + b"\x00" + "\x06▁the".encode() + bytes([200 % 128 + 128, 200 // 128]) + long
    assert token_texts(data, "t") == [b"<s>", b"", "▁the".encode(), long]
    with pytest.raises(UserError, match="t is no list of tokens: it ends within the one numbered 1"):
        token_texts(b"\x01a\x05abc", "t")


def test_the_wheels_tokens_are_as_many_as_the_networks_logits() -> None:
    path = locate("moonshine_voice", "assets/tiny-en/tokenizer.bin")
    assert path
    texts = token_texts(path.read_bytes(), "t")
    assert len(texts) == 32_768
    assert texts[:3] == [b"<unk>", b"<s>", b"</s>"]
    assert texts[3 : 3 + 256] == [bytes([i]) for i in range(256)]


def test_text_is_put_together_from_bytes() -> None:
    texts = [b"<unk>", b"<s>", b"</s>", b"\xc3", b"\xa9", "▁caf".encode(), b"<<ST_1>>"]
    assert spelled([5, 3, 4, 6, 5], texts) == "café caf"
    assert spelled([], texts) == ""


def test_the_wheels_code_is_not_imported(moonshine: Recogniser) -> None:
    assert moonshine.weights_sha256 == SHA256["decoder_model_merged.ort"]
    assert "moonshine_voice" not in sys.modules


def test_a_folder_of_ones_own_is_the_same_model_until_a_byte_changes(
    moonshine: Recogniser, folder: Path
) -> None:
    assert load_model("speech", "moonshine", folder).identity == moonshine.identity
    with (folder / "tokenizer.bin").open("ab") as file:
        file.write(b"\x01a")
    assert load_model("speech", "moonshine", folder).identity != moonshine.identity


def test_what_is_no_moonshine_is_one_sentence(folder: Path) -> None:
    (folder / "decoder_model_merged.ort").write_bytes((folder / "encoder_model.ort").read_bytes()[:100_000])
    with pytest.raises(UserError, match="holds no Moonshine that onnxruntime can run"):
        load_model("speech", "moonshine", folder).on("cpu")
    shutil.copyfile(folder / "encoder_model.ort", folder / "decoder_model_merged.ort")
    with pytest.raises(
        UserError, match="holds no Moonshine that onnxruntime can run: the decoder has no inputs"
    ):
        load_model("speech", "moonshine", folder).on("cpu")
    (folder / "tokenizer.bin").unlink()
    with pytest.raises(UserError, match="lacks tokenizer.bin"):
        load_model("speech", "moonshine", folder)
