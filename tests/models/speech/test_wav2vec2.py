"""torchaudio's bundles: one of its own class, small enough to be saved in a moment, against its own loading."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchaudio import pipelines

from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.models.speech.wav2vec2 import greedy_text

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16_000
PARAMETERS = {
    "extractor_mode": "group_norm",
    "extractor_conv_layer_config": [
        (8, 10, 5),
        (8, 3, 2),
        (8, 3, 2),
        (8, 3, 2),
        (8, 3, 2),
        (8, 2, 2),
        (8, 2, 2),
    ],
    "extractor_conv_bias": False,
    "encoder_embed_dim": 16,
    "encoder_projection_dropout": 0.1,
    "encoder_pos_conv_kernel": 16,
    "encoder_pos_conv_groups": 2,
    "encoder_num_layers": 1,
    "encoder_num_heads": 2,
    "encoder_attention_dropout": 0.1,
    "encoder_ff_interm_features": 16,
    "encoder_ff_interm_dropout": 0.1,
    "encoder_dropout": 0.1,
    "encoder_layer_norm_first": False,
    "encoder_layer_drop": 0.05,
    "aux_num_out": 29,
}


LARGE = {"extractor_mode": "layer_norm", "extractor_conv_bias": True, "encoder_layer_norm_first": True}
"""What the large bundles, whose input is normalised, have instead."""


@pytest.fixture(params=[False, True], ids=["base", "large"])
def published(request, tmp_path: Path, monkeypatch) -> Path:
    """A file as torchaudio publishes them, in torch.hub's cache: random weights, and three rows too many."""
    from torchaudio.models import wav2vec2_model

    parameters = PARAMETERS | (LARGE if request.param else {})
    bundle = pipelines.Wav2Vec2ASRBundle(
        "small.pth",
        parameters,
        _labels=pipelines.WAV2VEC2_ASR_BASE_960H._labels,
        _sample_rate=RATE,
        _normalize_waveform=request.param,
        _model_type="Wav2Vec2",
    )
    monkeypatch.setattr(pipelines, "SMALL", bundle, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    torch.manual_seed(0)
    network = wav2vec2_model(**parameters).eval()
    with torch.inference_mode():
        network.aux.weight.mul_(30)
        # On average no label is likelier than another, so that they change from frame to frame.
        network.aux.bias.sub_(network(torch.from_numpy(_sound(2))[None])[0][0].mean(0))
    state = network.state_dict()
    for name in ("aux.weight", "aux.bias"):
        rows = state[name]
        state[name] = torch.cat([rows[:1], torch.full_like(rows[:3], 9.0), rows[1:]])
    path = tmp_path / "checkpoints" / "small.pth"
    path.parent.mkdir()
    torch.save(state, path)
    return path


def _sound(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0.05, 0.1, round(seconds * RATE)).astype(np.float32)


def _decoded_letter_by_letter(logits: torch.Tensor) -> str:
    labels, text, last = pipelines.WAV2VEC2_ASR_BASE_960H.get_labels(), "", None
    for frame in logits.argmax(-1).tolist():
        if frame != last and frame != 0:
            text += labels[frame]
        last = frame
    return " ".join(word for word in text.split("|") if word)


def test_it_is_torchaudio_with_its_own_loading(published: Path) -> None:
    model = load_model("speech", "torchaudio:SMALL")
    sound = _sound(2)
    with torch.inference_mode():
        logits, _ = pipelines.SMALL.get_model()(torch.from_numpy(sound)[None])
    expected = _decoded_letter_by_letter(logits[0])
    assert len(set(expected)) > 9
    assert model.on("cpu").transcripts([sound]) == [expected]
    assert model.weights_sha256 == hashlib.sha256(published.read_bytes()).hexdigest()


def test_a_state_dict_saved_from_the_bundle_fits_too(published: Path, tmp_path: Path) -> None:
    saved = tmp_path / "mine.pth"
    torch.save(pipelines.SMALL.get_model().state_dict(), saved)
    sounds = [_sound(1)]
    expected = load_model("speech", "torchaudio:SMALL").on("cpu").transcripts(sounds)
    assert load_model("speech", "torchaudio:SMALL", saved).on("cpu").transcripts(sounds) == expected


def test_short_and_long_sounds_are_answered_each_for_itself(published: Path) -> None:
    model = load_model("speech", "torchaudio:SMALL").on("cpu")
    sounds = [_sound(1 / RATE), _sound(0.01), _sound(1), _sound(70)]
    together = model.transcripts(sounds)
    assert together == [model.transcripts([sound])[0] for sound in sounds]
    assert len(together[3]) > 30 * len(together[2])


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"aux.weight": torch.zeros(29, 768)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not fit torchaudio:WAV2VEC2_ASR_BASE_960H: it lacks"):
        load_model("speech", "torchaudio:WAV2VEC2_ASR_BASE_960H", tmp_path / "other.pth").on("cpu")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("WAV2VEC2_ASR_BASE_960", "did you mean 'WAV2VEC2_ASR_BASE_960H'"),
        ("MMS_FA", "torchaudio has no recogniser 'MMS_FA'"),
        ("WAV2VEC2_BASE", "torchaudio has no recogniser 'WAV2VEC2_BASE'"),
    ],
)
def test_a_name_that_is_none_is_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_model("speech", f"torchaudio:{name}")


def test_what_cannot_be_had_names_the_file_and_its_address(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("mpq.weights.sources.unreachable", lambda host: f"{host} does not answer")
    address = "https://download.pytorch.org/torchaudio/models/wav2vec2_fairseq_base_ls960_asr_ls960.pth"
    with pytest.raises(UserError, match=f"{address} at .*checkpoints/wav2vec2_.*--weights"):
        load_model("speech", "torchaudio:WAV2VEC2_ASR_BASE_960H")


def test_voxpopulis_language_is_its_names_end(published: Path) -> None:
    german = load_model("speech", "torchaudio:VOXPOPULI_ASR_BASE_10K_DE", published)
    assert german.language == "de"
    assert load_model("speech", "torchaudio:SMALL").language == "en"


def test_greedy_decoding_by_hand() -> None:
    labels = ("-", "|", "A", "B")
    assert greedy_text([1, 2, 2, 0, 2, 3, 1, 0, 1, 3, 0, 0], labels) == "AAB B"
    assert greedy_text([0, 1, 1, 0], labels) == ""
