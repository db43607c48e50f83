"""Error rates: cases counted by hand, jiwer's corpus rates, and OpenAI's own examples of normalisation."""

from __future__ import annotations

from pathlib import Path

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpq.errors import UserError
from mpq.metrics import transcripts
from mpq.metrics.transcripts import Edit, Errors, character_errors, edits, normalised, word_errors


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("it was the best of times", "it was the best of times", Errors(0, 0, 0, 6)),
        ("it was the best of times", "it was the beast of times", Errors(1, 0, 0, 6)),
        ("it was the best of times", "it was best of times", Errors(0, 1, 0, 6)),
        ("it was the best of times", "well it was the very best of times", Errors(0, 0, 2, 6)),
        ("it was the best of times", "It was the best of times,", Errors(2, 0, 0, 6)),
        ("it was the best of times", "", Errors(0, 6, 0, 6)),
        ("a b c d", "x a c y", Errors(1, 1, 1, 4)),
        ("", "thank you", Errors(0, 0, 2, 0)),
        ("", "", Errors(0, 0, 0, 0)),
        ("  a\tb\n c\u00a0d ", "a b c d", Errors(0, 0, 0, 4)),
    ],
)
def test_words_are_counted(reference: str, hypothesis: str, expected: Errors) -> None:
    assert word_errors(reference, hypothesis) == expected


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("kitten", "sitting", Errors(2, 0, 1, 6)),
        ("a b", "ab", Errors(0, 1, 0, 3)),
        ("times", "", Errors(0, 5, 0, 5)),
        ("", "you", Errors(0, 0, 3, 0)),
        ("", "", Errors(0, 0, 0, 0)),
        (" a ", "a", Errors(0, 0, 0, 1)),
        ("é", "e\u0301", Errors(1, 0, 1, 1)),
    ],
)
def test_characters_are_counted(reference: str, hypothesis: str, expected: Errors) -> None:
    assert character_errors(reference, hypothesis) == expected


def test_the_total_is_all_edits() -> None:
    assert Errors(1, 2, 3, 4).total == 6


WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd", "é", "A"]), max_size=8).map(" ".join)
TEXTS = st.one_of(WORDS, st.text(max_size=20))


@given(TEXTS, TEXTS)
def test_counts_fit_the_texts(reference: str, hypothesis: str) -> None:
    errors = word_errors(reference, hypothesis)
    said, heard = len(reference.split()), len(hypothesis.split())
    assert errors.length == said
    assert abs(said - heard) <= errors.total <= max(said, heard)
    assert heard == said - errors.deletions + errors.insertions
    assert min(errors.substitutions, errors.deletions, errors.insertions) >= 0
    assert errors.total == word_errors(hypothesis, reference).total
    assert (errors.total == 0) == (reference.split() == hypothesis.split())


@given(TEXTS)
def test_a_text_has_no_errors_against_itself(text: str) -> None:
    assert word_errors(text, text) == Errors(0, 0, 0, len(text.split()))
    assert character_errors(text, text) == Errors(0, 0, 0, len(text.strip()))


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_sums_over_utterances_are_the_rates_of_the_corpus(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = [r for r, _ in pairs], [h for _, h in pairs]
    for count, rate in ((word_errors, jiwer.wer), (character_errors, jiwer.cer)):
        errors = [count(r, h) for r, h in pairs]
        total, length = sum(e.total for e in errors), sum(e.length for e in errors)
        if length:
            assert total / length == pytest.approx(rate(references, hypotheses), abs=1e-12)


def test_edits_line_the_words_up() -> None:
    assert edits("it was the best of times", "it was best of the times") == [
        Edit("equal", ("it", "was"), ("it", "was")),
        Edit("delete", ("the",), ()),
        Edit("equal", ("best", "of"), ("best", "of")),
        Edit("insert", (), ("the",)),
        Edit("equal", ("times",), ("times",)),
    ]
    assert edits("a b", "a c") == [Edit("equal", ("a",), ("a",)), Edit("substitute", ("b",), ("c",))]
    assert edits("", "") == []
    assert edits("", "a b") == [Edit("insert", (), ("a", "b"))]


@given(TEXTS, TEXTS)
def test_edits_are_both_texts_and_the_errors(reference: str, hypothesis: str) -> None:
    parts = edits(reference, hypothesis)
    assert [word for part in parts for word in part.reference] == reference.split()
    assert [word for part in parts for word in part.hypothesis] == hypothesis.split()
    counted = dict.fromkeys(("equal", "substitute", "delete", "insert"), 0)
    for kind, said, heard in parts:
        counted[kind] += max(len(said), len(heard))
        assert kind != "equal" or said == heard
        assert kind not in ("equal", "substitute") or len(said) == len(heard)
    errors = word_errors(reference, hypothesis)
    assert (counted["substitute"], counted["delete"], counted["insert"]) == (
        errors.substitutions,
        errors.deletions,
        errors.insertions,
    )


ENGLISH = [
    # openai/whisper's own checks of its normaliser: tests/test_normalizer.py
    ("two", "2"),
    ("thirty one", "31"),
    ("five twenty four", "524"),
    ("nineteen ninety nine", "1999"),
    ("twenty nineteen", "2019"),
    ("two point five million", "2500000"),
    ("four point two billions", "4200000000s"),
    ("200 thousand", "200000"),
    ("200 thousand dollars", "$200000"),
    ("$20 million", "$20000000"),
    ("twenty million dollars", "$20000000"),
    ("three hundred dollars and seventy five cents", "$300.75"),
    ("three euros and sixty five cents", "€3.65"),
    ("one oh one", "101"),
    ("three thousand three hundred and thirty three", "3333"),
    ("ten percent", "10%"),
    ("mobilisation", "mobilization"),
    ("cancelation", "cancellation"),
    ("Let's", "let us"),
    ("he's like", "he is like"),
    ("she's been like", "she has been like"),
    ("10km", "10 km"),
    ("10mm", "10 mm"),
    ("RC232", "rc 232"),
    ("Mr. Park visited Assoc. Prof. Kim Jr.", "mister park visited associate professor kim junior"),
    # what the pieces of Appendix C do, worked out by hand
    ("The colour of Theatre", "the color of theater"),
    ("I can't, won't and shouldn't.", "i can not will not and should not"),
    ("[noise] Hello (laughs) <unk> world!", "hello world"),
    ("Um, so, uh... yes - mhm.", "so yes"),
    ("1,000 and 3.5", "1000 and 3.5"),
    ("Café naïve œuvre", "cafe naive oeuvre"),
    ("the cause", "the cause"),
    ("  \t ", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), ENGLISH)
def test_english_is_normalised_as_whisper_does(text: str, expected: str) -> None:
    assert normalised(text, "en") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L'été, c'est (bien) [bruit] FINI!", "l été c est fini"),
        ("Zwei Straßen", "zwei straßen"),
        ("two colours", "two colours"),
        ("ﬁn", "fin"),  # NFKC
        ("", ""),
    ],
)
def test_other_languages_have_the_basic_rules(text: str, expected: str) -> None:
    assert normalised(text, "fr") == expected


@given(st.text(max_size=40))
def test_whatever_is_heard_can_be_normalised(text: str) -> None:
    for language in ("en", "de"):
        once = normalised(text, language)
        assert once == " ".join(once.split())


NUMBERS = [
    "oh",
    "one",
    "two",
    "twenty",
    "hundred",
    "half",
    "and",
    "a",
    "point",
    "minus",
    "double",
    "cents",
    "1st",
]
NUMBERS += ["5", "5.5", ".5", "$", "£", "%"]


@given(st.lists(st.sampled_from(NUMBERS), max_size=7))
def test_numbers_however_odd_can_be_normalised(words: list[str]) -> None:
    text = " ".join(words)
    assert word_errors(normalised(text, "en"), normalised(text.upper(), "en")).total == 0


def test_case_punctuation_and_spelling_cost_nothing_after_normalisation() -> None:
    reference, hypothesis = "It was the season of Light; colours, two.", "it was the season of light colors 2"
    assert word_errors(reference, hypothesis).total == 4
    assert word_errors(normalised(reference, "en"), normalised(hypothesis, "en")) == Errors(0, 0, 0, 8)


def test_another_map_of_spellings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, file, _ = transcripts.SPELLINGS
    (tmp_path / package / "normalizers").mkdir(parents=True)
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / file).write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    transcripts._normaliser.cache_clear()
    with pytest.raises(UserError, match="not the file it should be"):
        normalised("colour", "en")
