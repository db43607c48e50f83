"""Error rates of transcripts: edits of words and of characters, counted by jiwer, as given or normalised.

An error rate is total errors / total length over all utterances (WER of words, CER of characters), not the mean of
utterances' rates: sum each utterance's counts first. It may exceed 1, since insertions are not limited. WER weighs
"a" for "the" as heavily as a lost "not", and as given it counts case, punctuation and spelling as errors: compare
recognisers after normalisation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from mpq.weights.sources import in_wheel

if TYPE_CHECKING:
    from jiwer import CharacterOutput, WordOutput

SPELLINGS = (
    "whisper_normalizer",
    "normalizers/english.json",
    "6607f948be9824d2e1b2fa2223cd94c06c45afa4e05ea0e3d5e1f2bdffde2465",
)
"""OpenAI's map of 1,739 British spellings to American ones: package, file, sha256.

transformers has their normaliser, equal to the original, without the map; the package has the map, and a normaliser to
which it added rules of its own ("cause" becomes "because").
"""


@dataclass(frozen=True)
class Errors:
    """Edits that turn a reference into a hypothesis, fewest in all. length: units (words, characters) of the reference."""

    substitutions: int
    deletions: int
    insertions: int
    length: int

    @property
    def total(self) -> int:
        return self.substitutions + self.deletions + self.insertions


Kind = Literal["equal", "substitute", "delete", "insert"]


class Edit(NamedTuple):
    """A stretch of an alignment: as many words on both sides where equal or substituted, else none on one."""

    kind: Kind
    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]


def word_errors(reference: str, hypothesis: str) -> Errors:
    """Edits of words, split at white space, on the texts as given. An empty reference has insertions alone."""
    return _errors(_aligned(reference, hypothesis))


def character_errors(reference: str, hypothesis: str) -> Errors:
    """Edits of characters (Unicode code points, the spaces between words among them), on the texts as given."""
    from jiwer import process_characters

    return _errors(process_characters(reference, hypothesis))


def edits(reference: str, hypothesis: str) -> list[Edit]:
    """The alignment behind ``word_errors``: its parts, joined, are all words of either text in their order."""
    output = _aligned(reference, hypothesis)
    (said,), (heard,), (chunks,) = output.references, output.hypotheses, output.alignments
    return [
        Edit(
            cast(Kind, chunk.type),
            tuple(said[chunk.ref_start_idx : chunk.ref_end_idx]),
            tuple(heard[chunk.hyp_start_idx : chunk.hyp_end_idx]),
        )
        for chunk in chunks
    ]


def normalised(text: str, language: str) -> str:
    """``text`` as Whisper's papers compare it (Radford et al. 2022, appendix C).

    language: "en" has Whisper's English rules (numbers as digits, contractions written out, American spelling, no
    fillers, no case, no punctuation, nothing in brackets), any other its basic ones, which split words at combining
    marks and so suit no Indic script. Raises UserError where the map of spellings is not installed.
    """
    return " ".join(_normaliser(language == "en")(text).split())


def _aligned(reference: str, hypothesis: str) -> WordOutput:
    from jiwer import process_words

    # jiwer by itself would take a tab for a part of a word.
    return process_words(" ".join(reference.split()), " ".join(hypothesis.split()))


def _errors(output: WordOutput | CharacterOutput) -> Errors:
    (reference,) = output.references
    return Errors(output.substitutions, output.deletions, output.insertions, len(reference))


@cache
def _normaliser(english: bool) -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    if not english:
        return BasicTextNormalizer()
    path = in_wheel(*SPELLINGS)
    return EnglishTextNormalizer(json.loads(path.read_text(encoding="utf-8")))
