"""The embedded speech: cut in its pauses, nothing lost, and each cut says what its text says."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from mpq.audio import read_audio
from mpq.datasets.base import Dataset, read_dataset
from mpq.datasets.speech.embedded import UTTERANCES, Embedded
from mpq.errors import UserError
from mpq.metrics.transcripts import normalised, word_errors
from mpq.models.base import load_model


@pytest.fixture(scope="module")
def embedded() -> Dataset:
    if why := Embedded.unavailable():
        pytest.skip(why)
    return read_dataset("embedded", task="speech")


def pcm(data: bytes) -> tuple[bytes, tuple[int, int, int]]:
    with wave.open(io.BytesIO(data)) as file:
        return file.readframes(file.getnframes()), file.getparams()[:3]


def test_the_cuts_are_the_whole_file_sample_by_sample(embedded: Dataset) -> None:
    cuts = [pcm(source.read()) for source in embedded.sources]
    whole, form = pcm(embedded.sources[0].path.read_bytes())
    assert b"".join(samples for samples, _ in cuts) == whole
    assert {form for _, form in cuts} == {form} == {(1, 2, 48_000)}


def test_a_cut_is_a_sound_as_any_other(embedded: Dataset) -> None:
    for source in embedded.sources:
        sample = read_audio(source.read())
        assert (sample.channels, sample.rate) == (1, 48_000)
        assert 1.9 < sample.seconds < 6.1


def test_cuts_lie_in_pauses(embedded: Dataset) -> None:
    """A tenth of a second on either side of each is 15 dB below the speech, at the level of the room."""
    whole = read_audio(embedded.sources[0].path.read_bytes()).samples[0].astype(np.float64)
    loud = np.sqrt(np.mean(whole**2))
    for end, _ in UTTERANCES[:-1]:
        around = whole[end - 4800 : end + 4800]
        assert 20 * np.log10(loud / np.sqrt(np.mean(around**2))) > 15, end


def test_the_text_is_119_words_and_the_summary_says_so(embedded: Dataset) -> None:
    words = sum(len(str(source.label).split()) for source in embedded.sources)
    seconds = sum(read_audio(source.read()).seconds for source in embedded.sources)
    assert f"{words} words" in Embedded.summary and f"{len(embedded.sources)} utterances" in Embedded.summary
    assert (
        f"{seconds:.0f} s of" in Embedded.summary and f"{100 / words:.1f} points a word" in Embedded.summary
    )


def test_each_cut_says_its_text(embedded: Dataset) -> None:
    """To Moonshine tiny, which errs in 7 of 119 words ("swin" for "spring") but never in the first or the last of a cut."""
    moonshine = load_model("speech", "moonshine").on("cpu")
    total = 0
    for source in embedded.sources:
        (heard,) = moonshine.transcripts([moonshine.preprocess(read_audio(source.read()))])
        reference, hypothesis = normalised(str(source.label), "en"), normalised(heard, "en")
        errors = word_errors(reference, hypothesis)
        assert errors.total <= 2, (reference, hypothesis)
        assert reference.split()[0] == hypothesis.split()[0]
        assert reference.split()[-1] == hypothesis.split()[-1]
        total += errors.total
    assert total <= 8


def test_another_file_under_its_name_is_refused(
    embedded: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "moonshine_voice"
    (package / "assets").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "assets" / "two_cities.wav").write_bytes(embedded.sources[0].path.read_bytes()[:-1])
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="not the file it should be"):
        read_dataset("embedded", task="speech")


def test_it_takes_nothing(embedded: Dataset) -> None:
    with pytest.raises(UserError, match="neither an argument nor transcripts"):
        read_dataset("embedded:x", task="speech")
    with pytest.raises(UserError, match="neither an argument nor transcripts"):
        read_dataset("embedded", "x.tsv", task="speech")


def test_the_file_says_that_it_is_free(embedded: Dataset) -> None:
    assert b"CC Zero Licensed" in embedded.sources[0].path.read_bytes()
