"""Folders of one's own: a table of transcripts, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mpq.audio import read_audio
from mpq.datasets.base import Dataset, read_dataset
from mpq.errors import UserError
from mpq.registry import datasets
from mpq.samples import SampleError


def read(data: Path | str, labels: str | None = None) -> Dataset:
    return read_dataset(str(data), labels, task="speech")


@pytest.fixture
def sounds(tmp_path: Path, tone: Callable[..., Path]) -> Path:
    for name in ("a.wav", "b.mp3", "c.ogg"):
        tone(tmp_path / "sounds" / name)
    return tmp_path / "sounds"


def test_every_reader_is_speechs() -> None:
    entries = datasets("speech").entries
    assert {"embedded", "librispeech", "commonvoice", "transcripts", "folder", "hf"} <= entries.keys()
    assert {entry.task for entry in entries.values()} == {"speech"}


def test_transcripts_are_read_beside_the_sounds(sounds: Path) -> None:
    (sounds / "transcripts.tsv").write_text('path\tsentence\na.wav\tGood morning.\nb.mp3\t"Go," she said.\n')
    dataset = read(sounds)
    assert [(s.id, s.label) for s in dataset.sources] == [
        ("a.wav", "Good morning."),
        ("b.mp3", '"Go," she said.'),
    ]
    assert read_audio(dataset.sources[1].read()).rate == 16_000


def test_a_table_with_commas_and_its_other_names(sounds: Path) -> None:
    (sounds / "transcripts.csv").write_bytes(
        b'\xef\xbb\xbfID,Transcript,File\r\n1,"Yes, \xc3\xa7a va.",c.ogg\r\n2,"Two\nlines",a.wav\r\n'
    )
    assert [(s.id, s.label) for s in read(sounds).sources] == [
        ("c.ogg", "Yes, ça va."),
        ("a.wav", "Two\nlines"),
    ]


def test_the_user_names_the_table(sounds: Path, tmp_path: Path) -> None:
    (sounds / "transcripts.tsv").write_text("path\tsentence\na.wav\tNot this.\n")
    truth = tmp_path / "truth.csv"
    truth.write_text("file,text\nb.mp3,This.\n")
    assert [s.label for s in read(sounds, str(truth)).sources] == ["This."]
    with pytest.raises(UserError, match=r"no table 'nosuch\.csv'"):
        read(sounds, "nosuch.csv")


def test_wrong_rows_are_named_and_the_rest_is_kept(sounds: Path) -> None:
    rows = [
        "file,text",
        "a.wav,One.",
        "nosuch.wav,Two.",
        "b.mp3",
        "c.ogg,",
        "./a.wav,Again.",
        ",Four.",
        "c.ogg,Five.",
    ]
    (sounds / "transcripts.csv").write_text("\n".join(rows))
    dataset = read(sounds)
    assert [(s.id, s.label) for s in dataset.sources] == [("a.wav", "One."), ("c.ogg", "Five.")]
    assert dataset.problems == (
        "transcripts.csv line 3: no file 'nosuch.wav'",
        "transcripts.csv line 4: 1 values for 2 columns",
        "transcripts.csv line 5: no transcript for 'c.ogg'",
        "transcripts.csv line 6: './a.wav' stands there twice",
        "transcripts.csv line 7: no file ''",
    )


@pytest.mark.parametrize(
    "content", [b"\nfile\ttext\na.wav\tOne.\n", b"file\ttext\ra.wav\tOne.\r", b"file,text\r\na.wav,One."]
)
def test_lines_end_as_any_program_ends_them(sounds: Path, content: bytes) -> None:
    (sounds / "transcripts.tsv").write_bytes(content)
    assert [(s.id, s.label) for s in read(sounds).sources] == [("a.wav", "One.")]


def test_a_quotation_mark_that_swallows_lines_is_told(sounds: Path) -> None:
    (sounds / "transcripts.csv").write_text('file,text\na.wav,"one\nb.mp3,two"\nc.ogg,three\n')
    dataset = read(sounds)
    assert [s.label for s in dataset.sources] == ["three"]
    assert dataset.problems == (
        "transcripts.csv line 3: the transcript of 'a.wav' has swallowed other lines",
    )


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\n \n", "is empty"),
        (b"sound,said\na.wav,x\n", "has no column path/file"),
        (b"file,said\na.wav,x\n", "has no column sentence/text"),
        (b"file,text\na.wav,caf\xe9\n", "UTF-8"),
        (b"file,text\na.wav," + b"x" * 200_000, "field larger than field limit"),
        (b'file,text\na.wav,"one\nc.ogg,two\n', "line 3: unexpected end of data"),
        (b"file,text\nnosuch.wav,x\n", r"no usable .*nosuch\.wav"),
    ],
)
def test_a_wrong_table_is_one_sentence(sounds: Path, content: bytes, named: str) -> None:
    (sounds / "transcripts.csv").write_bytes(content)
    with pytest.raises(UserError, match=named):
        read(sounds)


def test_without_a_table_there_are_no_transcripts(sounds: Path, tone: Callable[..., Path]) -> None:
    tone(sounds / "deep" / "er" / "d.FLAC")
    (sounds / "notes.txt").write_text("no sound")
    (sounds / "cover.jpg").write_bytes(b"no sound")
    dataset = read(sounds)
    assert [s.id for s in dataset.sources] == ["a.wav", "b.mp3", "c.ogg", "deep/er/d.FLAC"]
    assert not dataset.labelled and dataset.name == "sounds"
    assert read(f"folder:{sounds}").fingerprint == dataset.fingerprint


@pytest.mark.parametrize("content", [b"", b"junk" * 1000])
def test_a_damaged_sound_is_a_source_until_it_is_heard(sounds: Path, content: bytes) -> None:
    (sounds / "b.mp3").write_bytes(content)
    source = read(sounds).sources[1]
    assert source.id == "b.mp3"
    with pytest.raises(SampleError):
        read_audio(source.read())


def test_a_folder_without_sounds_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="holds no .*wav"):
        read(tmp_path)
