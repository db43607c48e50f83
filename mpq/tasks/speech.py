"""Speech recognition: how many words are wrong, and how many are other than what was heard on the original?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpq.datasets.base import Dataset, read_dataset
from mpq.metrics.transcripts import Errors, character_errors, normalised, word_errors
from mpq.models.base import load_model
from mpq.rows import Field, column
from mpq.tasks.base import Cells, Score, Task, View, everything
from reports.resampling import Ratio

if TYPE_CHECKING:
    from mpq.models.speech.base import Recogniser
    from mpq.plan import Plan


def _errors(key: str, title: str, summary: str, **more: Any) -> Score:
    return Score(key, title, "share", summary, lower_is_better=True, counts=True, **more)


class Speech(Task):
    name = "speech"
    summary = "what was said: word and character error rate, and change of the transcript of the original"
    samples = "audio"
    noun = "word"
    data = "embedded"
    model = "whisper:tiny.en"
    codecs = ("opus", "mp3")
    similarity = ("si-sdr", "stoi")
    block = (1, 8)
    scores = (
        _errors("wer", "WER", "Σ wrong, missing and extra words / Σ words, after Whisper's normaliser"),
        _errors("cer", "CER", "the same of characters", rank=4),
        Score(
            "accuracy",
            "word accuracy",
            "share",
            "1 − WER",
            rank=8,
            heading="word acc.",
        ),
        _errors("raw_wer", "raw WER", "WER of the texts as they are, with case and punctuation", rank=6),
        _errors("raw_cer", "raw CER", "CER of the texts as they are", rank=9),
        _errors(
            "drift_wer",
            "WER to own transcript",
            "WER against the recogniser's own transcript of the original (fidelity: needs no transcripts)",
            fidelity=True,
            rank=5,
            heading="WER to own",
        ),
    )
    fields = (
        Field("reference", "string", "what is said, as the data set has it; null where it is not known"),
        Field("hypothesis", "string", "what the recogniser heard"),
        Field("words", "int32", "of the reference, normalised"),
        Field("substitutions", "int32", "words that are heard as others, both normalised"),
        Field("deletions", "int32", "words that are not heard"),
        Field("insertions", "int32", "words that are heard and not said"),
        Field("characters", "int32", "of the reference, normalised"),
        Field("character_errors", "int32", "substituted, deleted and inserted ones"),
        Field("raw_words", "int32", "of the reference as it is"),
        Field("raw_word_errors", "int32", "with case and punctuation"),
        Field("raw_characters", "int32", "of the reference as it is"),
        Field("raw_character_errors", "int32", "with case and punctuation"),
        Field("own_words", "int32", "of the recogniser's own transcript of the original, normalised"),
        Field("own_word_errors", "int32", "against that one"),
    )

    def read(self, plan: Plan) -> Dataset:
        dataset = read_dataset(plan.data, plan.labels, self.name)
        return dataset.without_labels() if plan.no_labels else dataset

    def load(self, spec: str, weights: Path | None) -> Recogniser:
        return load_model(self.name, spec, weights)

    def targets(self, dataset: Dataset, model: Recogniser) -> list[dict[str, Any]]:
        return [{"reference": source.label} for source in dataset.sources]

    def answers(self, model: Recogniser, inputs: list[Any]) -> list[Any]:
        return [(text, model.language) for text in model.transcripts(inputs)]

    def unusable(self, answer: Any) -> str | None:
        return None

    def kept(self, answer: tuple[str, str]) -> str:
        return normalised(*answer)

    def scored(
        self, answer: tuple[str, str], target: Mapping[str, Any], truth: Any, original: str
    ) -> dict[str, Any]:
        text, language = answer
        heard, said = normalised(text, language), target["reference"]
        own = word_errors(original, heard)
        found: dict[str, Any] = {"hypothesis": text, "own_words": own.length, "own_word_errors": own.total}
        if said is None:
            return found
        normal = normalised(said, language)
        words = word_errors(normal, heard)
        found |= {
            "words": words.length,
            "substitutions": words.substitutions,
            "deletions": words.deletions,
            "insertions": words.insertions,
        }
        found |= _counted("character", character_errors(normal, heard))
        found |= _counted("raw_word", word_errors(said, text))
        return found | _counted("raw_character", character_errors(said, text))

    def views(self, cells: Cells) -> list[View]:
        return [View("", [_rates(table) for _, table in cells], everything(cells))]

    def notes(self, score: str) -> list[str]:
        if score == "drift_wer":
            return ["No transcripts: errors are counted against what the model heard on the originals."]
        return []


def _counted(unit: str, errors: Errors) -> dict[str, int]:
    return {f"{unit}s": errors.length, f"{unit}_errors": errors.total}


def _rates(table: Any) -> dict[str, Ratio]:
    words = column(table, "words")
    wrong = sum((column(table, k) for k in ("deletions", "insertions")), column(table, "substitutions"))
    return {
        "wer": Ratio.of(wrong, words),
        "accuracy": Ratio.of(words - wrong, words),
        **{
            key: Ratio.of(column(table, f"{unit}_errors"), column(table, f"{unit}s"))
            for key, unit in (
                ("cer", "character"),
                ("raw_wer", "raw_word"),
                ("raw_cer", "raw_character"),
                ("drift_wer", "own_word"),
            )
        },
    }
