"""LibriSpeech's layout at every level; what lacks its other half is named and left out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mpq.audio import read_audio
from mpq.datasets.base import Dataset, read_dataset
from mpq.errors import UserError
from mpq.samples import SampleError

FIRST, SECOND = Path("1089/134686"), Path("121/123852")


def read(folder: Path, labels: str | None = None) -> Dataset:
    return read_dataset(str(folder), labels, task="speech")


@pytest.fixture
def split(tmp_path: Path, tone: Callable[..., Path]) -> Path:
    """Two chapters of two speakers, with two utterances and one."""
    folder = tmp_path / "LibriSpeech" / "test-clean"
    for chapter, count in ((FIRST, 2), (SECOND, 1)):
        stem = str(chapter).replace("/", "-")
        for i in range(count):
            tone(folder / chapter / f"{stem}-{i:04d}.flac", 300 + 100 * i)
        lines = [f"{stem}-{i:04d} HE HOPED THERE WOULD BE {'STEW' * i}" for i in range(count)]
        (folder / chapter / f"{stem}.trans.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "LibriSpeech" / "README.TXT").write_text("about")
    (tmp_path / "LibriSpeech" / "BOOKS.TXT").write_text("about")
    return folder


def test_a_split_is_recognised(split: Path) -> None:
    dataset = read(split)
    assert dataset.name == "test-clean" and not dataset.problems
    assert [(s.id, s.label) for s in dataset.sources] == [
        ("1089-134686-0000.flac", "HE HOPED THERE WOULD BE"),
        ("1089-134686-0001.flac", "HE HOPED THERE WOULD BE STEW"),
        ("121-123852-0000.flac", "HE HOPED THERE WOULD BE"),
    ]
    assert read_audio(dataset.sources[0].read()).length == 1600


def test_levels_above_and_below_hold_the_same_samples(split: Path) -> None:
    whole = read(split)
    for folder in (split.parent, split.parent.parent):
        assert read(folder).fingerprint == whole.fingerprint
        assert read_dataset(f"librispeech:{folder}", task="speech").fingerprint == whole.fingerprint
    assert [s.id for s in read(split / "121").sources] == ["121-123852-0000.flac"]
    assert [s.id for s in read(split / SECOND).sources] == ["121-123852-0000.flac"]


def test_other_formats_of_sound_will_do(split: Path, tone: Callable[..., Path]) -> None:
    path = split / SECOND / "121-123852-0000.flac"
    path.unlink()
    tone(path.with_suffix(".wav"))
    assert read(split / SECOND).sources[0].id == "121-123852-0000.wav"
    tone(path)
    dataset = read(split / SECOND)
    assert [s.id for s in dataset.sources] == ["121-123852-0000.flac"]
    assert dataset.problems == ("121-123852-0000.wav: the utterance is there in another format, too",)


def test_what_lacks_its_other_half_is_named(split: Path, tone: Callable[..., Path]) -> None:
    tone(split / FIRST / "1089-134686-0007.flac")
    tone(split / "99" / "1" / "99-1-0000.flac")
    table = split / FIRST / "1089-134686.trans.txt"
    table.write_text(
        "\n1089-134686-0000 ONE\r\n1089-134686-0001\n1089-134686-0002 TWO\n1089-134686-0000 AGAIN\n"
    )
    dataset = read(split)
    assert [(s.id, s.label) for s in dataset.sources] == [
        ("1089-134686-0000.flac", "ONE"),
        ("121-123852-0000.flac", "HE HOPED THERE WOULD BE"),
    ]
    assert dataset.problems == (
        "1089-134686.trans.txt line 3: no transcript for '1089-134686-0001'",
        "1089-134686.trans.txt line 4: no sound '1089-134686-0002'",
        "1089-134686.trans.txt line 5: '1089-134686-0000' stands there twice",
        "no *.trans.txt beside 1089-134686-0007.flac says what it says",
        "no *.trans.txt beside 99-1-0000.flac says what it says",
    )


def test_chapters_may_lie_in_one_folder(split: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in split.rglob("*-*"):
        file.rename(flat / file.name)
    assert len(read(flat).sources) == 3 and not read(flat).problems


def test_a_copy_of_a_chapter_counts_once(split: Path) -> None:
    copy = split.parent / "copy" / SECOND
    copy.mkdir(parents=True)
    for file in (split / SECOND).iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    dataset = read(split.parent)
    assert len(dataset.sources) == 3
    assert dataset.problems == ("121-123852.trans.txt line 1: '121-123852-0000' stands there twice",)


def test_a_table_in_no_known_letters_spoils_its_chapter_alone(split: Path) -> None:
    (split / FIRST / "1089-134686.trans.txt").write_bytes(b"1089-134686-0000 CAF\xc9\n")
    dataset = read(split)
    assert [s.id for s in dataset.sources] == ["121-123852-0000.flac"]
    assert len(dataset.problems) == 1 and "UTF-8" in dataset.problems[0]


def test_file_names_in_no_known_letters_can_be_told(split: Path) -> None:
    (split / SECOND / os.fsdecode(b"caf\xe9.flac")).write_bytes(b"")
    (problem,) = read(split).problems
    assert problem.encode() == b"no *.trans.txt beside caf\\xe9.flac says what it says"


def test_a_damaged_sound_is_a_source_until_it_is_heard(split: Path) -> None:
    path = split / SECOND / "121-123852-0000.flac"
    path.write_bytes(path.read_bytes()[:60])
    source = read(split).sources[-1]
    assert source.id == path.name
    with pytest.raises(SampleError):
        read_audio(source.read())


def test_a_link_to_nowhere_is_left_out(split: Path) -> None:
    path = split / SECOND / "121-123852-0000.flac"
    path.unlink()
    path.symlink_to(split / "nosuch.flac")
    dataset = read(split)
    assert len(dataset.sources) == 2
    assert "cannot be read" in dataset.problems[0]


def test_nothing_to_read_is_one_sentence(tmp_path: Path, split: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no \*\.trans\.txt"):
        read_dataset(f"librispeech:{tmp_path / 'empty'}", task="speech")
    with pytest.raises(UserError, match="is not a folder"):
        read_dataset("librispeech:nosuch", task="speech")
    with pytest.raises(UserError, match="NAME:FOLDER"):
        read_dataset("librispeech", task="speech")
    with pytest.raises(UserError, match="takes no other labels"):
        read_dataset(f"librispeech:{split}", "x.tsv", task="speech")
