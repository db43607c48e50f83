"""Common Voice's layout: which table is read, and the ways in which its tables have been written."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from mpq.audio import read_audio
from mpq.datasets.base import Dataset, read_dataset
from mpq.errors import UserError

HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment\n"


def row(file: str, sentence: str) -> str:
    return f"0a1b\t{file}\t{sentence}\t2\t0\t\t\t\ten\t\n"


def read(data: Path | str, labels: str | None = None) -> Dataset:
    return read_dataset(str(data), labels, task="speech")


@pytest.fixture
def english(tmp_path: Path, tone: Callable[..., Path]) -> Path:
    folder = tmp_path / "cv-corpus-11.0-2022-09-21" / "en"
    for name in ("a", "b", "c"):
        tone(folder / "clips" / f"common_voice_en_{name}.mp3")
    (folder / "validated.tsv").write_text(
        HEADER + "".join(row(f"common_voice_en_{n}.mp3", f"Sentence {n}.") for n in "abc")
    )
    (folder / "test.tsv").write_text(HEADER + row("common_voice_en_b.mp3", "Sentence b."))
    (folder / "dev.tsv").write_text(HEADER + row("common_voice_en_c.mp3", "Sentence c."))
    return folder


def test_the_test_split_is_read_then_the_validated(english: Path) -> None:
    dataset = read(english)
    assert dataset.name == "common-voice en test" and not dataset.problems
    assert [(s.id, s.label) for s in dataset.sources] == [("common_voice_en_b.mp3", "Sentence b.")]
    assert read_audio(dataset.sources[0].read()).rate == 16_000
    (english / "test.tsv").unlink()
    assert [s.label for s in read(english).sources] == ["Sentence a.", "Sentence b.", "Sentence c."]


def test_the_user_names_another_table(english: Path, tmp_path: Path) -> None:
    assert [s.label for s in read(f"commonvoice:{english}", "dev.tsv").sources] == ["Sentence c."]
    assert [s.label for s in read(english, "dev.tsv").sources] == ["Sentence c."]
    elsewhere = tmp_path / "mine.tsv"
    elsewhere.write_text("path\tsentence\ncommon_voice_en_a.mp3\tMine.\n")
    assert [s.label for s in read(f"commonvoice:{english}", str(elsewhere)).sources] == ["Mine."]
    with pytest.raises(UserError, match=r"no table 'nosuch\.tsv'"):
        read(f"commonvoice:{english}", "nosuch.tsv")


def test_the_folder_above_will_do_while_it_holds_one_language(english: Path) -> None:
    assert read(english.parent).fingerprint == read(english).fingerprint
    (english.parent / "cy" / "clips").mkdir(parents=True)
    (english.parent / "cy" / "test.tsv").write_text(HEADER)
    with pytest.raises(UserError, match="several languages of Common Voice: cy, en"):
        read(f"commonvoice:{english.parent}")
    with pytest.raises(UserError, match="name one"):  # and is not taken for a folder without transcripts
        read(english.parent)


def test_early_tables_name_clips_without_their_ending(english: Path) -> None:
    (english / "test.tsv").write_text(HEADER + row("common_voice_en_a", "Sentence a."))
    assert [s.id for s in read(english).sources] == ["common_voice_en_a.mp3"]


SENTENCES = [
    '"Hello," he said.',
    'He said, "Hello."',
    '"Never" and "always"',
    "It's 5' 3\" tall",
    "Ελληνικά – ‘ok’",
]


@pytest.mark.parametrize("dialect", ["raw", "doubled", "csv"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_quotation_marks_come_back_however_they_were_written(
    english: Path, dialect: str, sentence: str
) -> None:
    written = sentence
    if dialect == "doubled":  # by csv.writer with QUOTE_NONE and '"' as the escape character
        written = sentence.replace('"', '""')
    elif dialect == "csv":
        file = io.StringIO()
        csv.writer(file, delimiter="\t", lineterminator="").writerow([sentence])
        written = file.getvalue()
    table = HEADER + row("common_voice_en_a.mp3", written) + row("common_voice_en_b.mp3", "Next.")
    (english / "test.tsv").write_text(table, encoding="utf-8")
    assert [s.label for s in read(english).sources] == [sentence, "Next."]


def test_wrong_rows_are_named_and_the_rest_is_kept(english: Path) -> None:
    (english / "test.tsv").write_text(
        HEADER
        + row("common_voice_en_nosuch.mp3", "Lost.")
        + row("common_voice_en_a.mp3", " ")
        + "0a1b\tcommon_voice_en_a.mp3\n"
        + row("common_voice_en_c.mp3", "Kept.\x85\u2028")
        + row("common_voice_en_c.mp3", "Again.")
        + row("", "Nothing.")
        + row("a\0b.mp3", "Null.")
    )
    dataset = read(english)
    assert [(s.id, s.label) for s in dataset.sources] == [("common_voice_en_c.mp3", "Kept.")]
    assert dataset.problems == (
        "test.tsv line 2: no file 'common_voice_en_nosuch.mp3'",
        "test.tsv line 3: no sentence for 'common_voice_en_a.mp3'",
        "test.tsv line 4: 2 values for 10 columns",
        "test.tsv line 6: 'common_voice_en_c.mp3' stands there twice",
        "test.tsv line 7: no file ''",
        "test.tsv line 8: no file 'a\0b.mp3'",
    )


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "is empty"),
        (b"client_id\tsentence\n1\tx\n", "has no column path"),
        (b"path\ttext\na\tx\n", "has no column sentence"),
        (b"path\tsentence\na\t\xff\xfe\n", "UTF-8"),
    ],
)
def test_a_wrong_table_is_one_sentence(english: Path, content: bytes, named: str) -> None:
    (english / "test.tsv").write_bytes(content)
    with pytest.raises(UserError, match=named):
        read(english)


def test_a_table_of_nothing_is_one_sentence(english: Path) -> None:
    (english / "test.tsv").write_text(HEADER)
    with pytest.raises(UserError, match="holds no usable"):
        read(english)
