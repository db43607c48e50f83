"""Hugging Face recognisers: CTC (wav2vec 2.0, HuBERT, …) and sequence to sequence (Whisper, …), decoded greedily."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mpq.errors import UserError, first_line
from mpq.models.base import ModelSource
from mpq.models.hub import as_json, check_whole, offline, quiet, saved_folder
from mpq.models.speech.base import (
    WINDOW,
    Recogniser,
    Transcribe,
    cut_at_pauses,
    one_by_one,
    split_language,
)
from mpq.weights.sources import sha256_of, unreachable

Kind = Literal["ctc", "whisper", "seq2seq"]

SEQ2SEQ = ("whisper", "moonshine", "speech-encoder-decoder")
"""The library's ``model_type`` of those that are asked with sound alone; others want a prompt in words."""

TOKENS_A_SECOND, SPARE_TOKENS = 20, 20
"""Nobody speaks that fast: the limit ends the loops into which greedy decoding runs where it hears noise."""

WHISPER_TOKENS = 224
"""The most of one window, as OpenAI's decoder has it."""


class HuggingFace(ModelSource):
    """``hf:NAME`` from the cache or the network; ``hf:DIR`` or ``--weights DIR`` a folder saved by transformers.

    ``:language=de`` behind either chooses a multilingual Whisper's language (English unless told), and for all models
    says in which language their texts are normalised.
    """

    name = "hf"
    task = "speech"
    summary = "any Hugging Face CTC recogniser, Whisper, Moonshine, …: by name, or a local folder"
    variants = "hf:openai/whisper-tiny.en, hf:facebook/wav2vec2-base-960h, hf:openai/whisper-small:language=de, hf:DIR"

    def load(self, variant: str, weights: Path | None) -> Recogniser:
        import transformers

        spec = f"{self.name}:{variant}"
        name, told = split_language(variant, spec)
        saved = _saved(str(saved_folder(weights) or name), spec)
        multilingual = bool(getattr(saved.generation, "is_multilingual", False))
        if saved.kind == "whisper" and not multilingual and told not in (None, "en"):
            raise UserError(f"{spec} hears English alone, not language={told}")
        language = told or "en"
        if multilingual and f"<|{language}|>" not in getattr(saved.generation, "lang_to_id", ()):
            raise UserError(f"{spec} knows no language '{language}' (say another with :language=)")
        vocabulary = json.dumps(saved.vocabulary, sort_keys=True).encode()
        configuration = {
            "decoding": "greedy, one sound at a time",
            "language": language,
            "model": saved.config.to_dict(),
            "generation": saved.generation.to_diff_dict() if saved.generation else None,
            "vocabulary": hashlib.sha256(vocabulary).hexdigest(),
        }
        longer = "from time stamp to time stamp" if saved.has_long_form else "cut at pauses"
        return Recogniser(
            name=spec,
            open=partial(_open, saved, language if multilingual else None),
            rate=saved.rate,
            language=language,
            weights_sha256=sha256_of(saved.file),
            preprocessing=f"mono; above {saved.window:g} s {longer}; " + as_json(saved.extractor),
            version=f"transformers {transformers.__version__}",
            configuration=json.dumps(configuration, sort_keys=True, default=str),
        )

    @classmethod
    def unavailable(cls) -> str | None:
        return unreachable("huggingface.co")


@dataclass(frozen=True)
class _Saved:
    """What there is of a model before its network is loaded.

    place: a repository's name or a folder. generation: the library's settings of decoding; None where there are none.
    """

    spec: str
    place: str
    offline: bool
    file: Path
    kind: Kind
    config: Any
    generation: Any
    extractor: Any
    tokenizer: Any

    @property
    def rate(self) -> int:
        """In Hz."""
        return int(self.extractor.sampling_rate)

    @property
    def window(self) -> float:
        """Seconds that it hears at once."""
        return self.extractor.n_samples / self.rate if self.kind == "whisper" else WINDOW

    @property
    def has_long_form(self) -> bool:
        """Whether the library goes through long sounds itself, from time stamp to time stamp."""
        return self.kind == "whisper" and hasattr(self.generation, "no_timestamps_token_id")

    @property
    def vocabulary(self) -> dict[str, int]:
        return self.tokenizer.get_vocab()


def _saved(place: str, spec: str) -> _Saved:
    import transformers
    from transformers.utils import cached_file

    quiet()
    local = offline(place)
    try:
        config = transformers.AutoConfig.from_pretrained(place, local_files_only=local)
        kind = _kind(config, spec)
        file = cached_file(place, "model.safetensors", local_files_only=local)
        # Not the processor of both: where it has a language model, that needs a library and is no greedy decoding.
        extractor = transformers.AutoFeatureExtractor.from_pretrained(place, local_files_only=local)
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, local_files_only=local)
    except UserError:
        raise
    except Exception as error:  # the library's own, httpx's, offline mode's, JSON's
        raise UserError(
            f"{spec} cannot be had: {first_line(error)} (by name it needs the network once; a folder with "
            f"config.json, preprocessor_config.json, a tokenizer and model.safetensors works without)"
        ) from None
    try:
        generation = transformers.GenerationConfig.from_pretrained(place, local_files_only=local)
    except OSError:  # CTC models have none
        generation = None
    return _Saved(spec, place, local, Path(file), kind, config, generation, extractor, tokenizer)


def _kind(config: Any, spec: str) -> Kind:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING_NAMES

    if config.model_type in SEQ2SEQ:
        return "whisper" if config.model_type == "whisper" else "seq2seq"
    if config.model_type in MODEL_FOR_CTC_MAPPING_NAMES:
        return "ctc"
    raise UserError(f"{spec} is of the kind '{config.model_type}', which is no recogniser known here")


def _open(saved: _Saved, language: str | None, device: str) -> Transcribe:
    """language: for a multilingual Whisper."""
    import torch
    import transformers

    auto = transformers.AutoModelForCTC if saved.kind == "ctc" else transformers.AutoModelForSpeechSeq2Seq
    try:
        network, report = auto.from_pretrained(
            saved.place,
            use_safetensors=True,
            output_loading_info=True,
            local_files_only=saved.offline,
            dtype=torch.float32,
        )
    except Exception as error:  # as above, and torch's
        raise UserError(f"{saved.spec} cannot be loaded: {first_line(error)}") from None
    check_whole(report, saved.file, saved.spec)
    network = network.to(torch.device(device)).eval()
    if saved.generation is not None:
        network.generation_config = saved.generation  # the library makes one up where it takes it for derived
    text = {"ctc": _ctc, "whisper": _whisper, "seq2seq": _seq2seq}[saved.kind]
    tokens = partial(text, network, saved, language)

    def transcribe(sound: np.ndarray) -> str:
        parts = [sound] if saved.has_long_form else cut_at_pauses(sound, saved.rate, saved.window)
        with torch.inference_mode():
            answers = [tokens(part) for part in parts]
        # Of CTC, special tokens part repeated letters, and left out too early those would be one.
        skip = saved.kind != "ctc"
        texts = (saved.tokenizer.decode(answer, skip_special_tokens=skip).strip() for answer in answers)
        return " ".join(filter(None, texts))

    return one_by_one(transcribe)


def _features(network: Any, saved: _Saved, sound: np.ndarray, **options: Any) -> dict[str, Any]:
    features = saved.extractor(sound, sampling_rate=saved.rate, return_tensors="pt", **options)
    return {name: value.to(network.device) for name, value in features.items()}


def _ctc(network: Any, saved: _Saved, language: str | None, sound: np.ndarray) -> Any:
    """The likeliest label of each frame; the tokenizer joins repetitions and drops blanks."""
    return network(**_features(network, saved, sound)).logits[0].argmax(-1).cpu()


def _whisper(network: Any, saved: _Saved, language: str | None, sound: np.ndarray) -> Any:
    options: dict[str, Any] = {} if language is None else {"language": language, "task": "transcribe"}
    if len(sound) <= saved.extractor.n_samples:
        features = _features(network, saved, sound, return_attention_mask=True)
    else:
        features = _features(
            network, saved, sound, truncation=False, padding="longest", return_attention_mask=True
        )
        options |= {"return_timestamps": True, "condition_on_prev_tokens": False}
    # The prompt's four tokens share the decoder's positions.
    most = min(WHISPER_TOKENS, network.config.max_target_positions - 4)
    return _generated(network, features, most, options)


def _seq2seq(network: Any, saved: _Saved, language: str | None, sound: np.ndarray) -> Any:
    features = _features(network, saved, sound)
    most = _limit(sound, saved)
    decoder = getattr(network.config, "decoder", network.config)
    for name in ("max_target_positions", "max_position_embeddings", "n_positions"):
        if isinstance(positions := getattr(decoder, name, None), int):
            most = min(most, positions - 2)
    return _generated(network, features, most, {})


def _limit(sound: np.ndarray, saved: _Saved) -> int:
    """Tokens that a sound's text may have."""
    seconds = len(sound) / saved.rate
    if saved.config.model_type == "moonshine":  # its authors' limit
        return max(1, int(6.5 * seconds))
    return SPARE_TOKENS + math.ceil(TOKENS_A_SECOND * seconds)


def _generated(network: Any, features: dict[str, Any], most: int, options: dict[str, Any]) -> Any:
    tokens = network.generate(**features, do_sample=False, num_beams=1, max_new_tokens=most, **options)
    return tokens[0].cpu()
