"""Hugging Face data sets of speech: a local one is streamed for real, without torchcodec."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from mpq.audio import read_audio
from mpq.datasets import hub
from mpq.datasets.base import Dataset, read_dataset
from mpq.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MPQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setitem(sys.modules, "torchcodec", None)  # importing it now fails
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path: Path, tone: Callable[..., Path]) -> list[Path]:
    return [tone(tmp_path / "originals" / f"{i}.flac", 300 + 50 * i) for i in range(4)]


@pytest.fixture
def local(tmp_path: Path, files: list[Path]) -> Callable[..., Path]:
    """Writes a data set folder as the hub has them: Parquet with the sounds' files and some columns of text."""

    def write(
        split: str = "test", folder: str = "minds", audio: list[Path | None] | None = None, **texts: list
    ) -> Path:
        audio = files if audio is None else list(audio)
        stored = [path and {"bytes": path.read_bytes(), "path": path.name} for path in audio]
        columns = {"path": ["x"] * len(audio), "audio": stored, **texts}
        table = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio())
        place = tmp_path / folder
        place.mkdir(exist_ok=True, parents=True)
        table.to_parquet(place / f"{split}-00000-of-00001.parquet")
        return place

    return write


def read(data: str) -> Dataset:
    return read_dataset(data, task="speech")


def test_samples_are_kept_as_they_are_encoded(local: Callable[..., Path], files: list[Path]) -> None:
    folder = local(text=["one", "two", " three ", "four"])
    dataset = read(f"hf:{folder}@test")
    assert [s.label for s in dataset.sources] == ["one", "two", "three", "four"]
    assert [s.read() for s in dataset.sources] == [file.read_bytes() for file in files]
    assert [s.path.suffix for s in dataset.sources] == [".flac"] * 4
    assert read_audio(dataset.sources[0].read()).length == 1600


def test_the_first_name_for_transcripts_counts(local: Callable[..., Path]) -> None:
    folder = local(normalized_text=["n"] * 4, transcription=["t"] * 4, sentence=["S"] * 4)
    assert {s.label for s in read(f"hf:{folder}").sources} == {"S"}


def test_without_transcripts_there_are_no_labels(local: Callable[..., Path]) -> None:
    assert not read(f"hf:{local(speaker=list('abcd'))}").labelled
    partly = read(f"hf:{local(text=['one', None, '', 'four'])}")
    assert [s.label for s in partly.sources] == ["one", None, None, "four"]


def test_counts_splits_and_what_changes_on_disk(local: Callable[..., Path]) -> None:
    folder = local(text=list("abcd"))
    local("train", text=list("wxyz"))
    assert [s.label for s in read(f"hf:{folder}@train#2").sources] == ["w", "x"]
    assert [s.label for s in read(f"hf:{folder}").sources] == ["a", "b", "c", "d"]
    local(text=list("efgh"))
    assert [s.label for s in read(f"hf:{folder}#3").sources] == ["e", "f", "g"]
    with pytest.raises(UserError, match="no split 'nosuch'; it has: "):
        read(f"hf:{folder}@nosuch")


def test_a_configuration_is_named_behind_the_name(local: Callable[..., Path], tmp_path: Path) -> None:
    local(folder="two/english", text=list("abcd"))
    local(folder="two/welsh", text=list("efgh"))
    (tmp_path / "two" / "README.md").write_text(
        "---\nconfigs:\n- config_name: en\n  data_files: english/*.parquet\n"
        "- config_name: cy\n  data_files: welsh/*.parquet\n---\n"
    )
    assert [s.label for s in read(f"hf:{tmp_path}/two/cy").sources] == ["e", "f", "g", "h"]
    assert [s.label for s in read(f"hf:{tmp_path}/two/en").sources] == ["a", "b", "c", "d"]
    with pytest.raises(UserError, match="en.*cy"):
        read(f"hf:{tmp_path}/two")


def test_rows_without_a_sound_are_named(local: Callable[..., Path], files: list[Path]) -> None:
    folder = local(audio=[files[0], None, files[2]], text=list("abc"))
    dataset = read(f"hf:{folder}")
    assert [s.label for s in dataset.sources] == ["a", "c"]
    assert dataset.problems == (f"hf:{folder} row 1: nothing is stored in 'audio'",)


def test_a_damaged_sound_is_kept_as_it_is(local: Callable[..., Path], files: list[Path]) -> None:
    files[1].write_bytes(b"junk")
    assert read(f"hf:{local(text=list('abcd'))}").sources[1].read() == b"junk"


def test_a_folder_of_files_is_read_where_they_lie(files: list[Path]) -> None:
    """An audio folder, as the hub has them: its rows hold paths alone."""
    (files[0].parent / "metadata.csv").write_text(
        "file_name,transcription\n" + "".join(f"{file.name},say {file.stem}\n" for file in files)
    )
    dataset = read(f"hf:{files[0].parent}")
    assert [s.label for s in dataset.sources] == ["say 0", "say 1", "say 2", "say 3"]
    assert dataset.sources[3].read() == files[3].read_bytes()


def test_what_is_cached_needs_no_network(local: Callable[..., Path], cache: Path) -> None:
    read(f"hf:{local(text=list('abcd'))}@test#4")
    (spooled,) = (cache / "hf" / "speech").iterdir()
    spooled.rename(spooled.with_name(hub._folder_name("nobody/nothing/en@test#4")))
    assert [s.label for s in read("hf:nobody/nothing/en@test#4").sources] == list("abcd")


def test_a_data_set_of_the_hubs_names_no_file_of_this_machine(files: list[Path]) -> None:
    for path in (str(files[0]), f"file://{files[0]}", f"zip://a.flac::{files[0]}", "x.flac", None):
        assert hub._content({"bytes": None, "path": path}, "nobody/nothing") is None


def test_a_data_set_without_sound_names_its_columns(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(tmp_path / "texts" / "train.parquet")
    with pytest.raises(UserError, match="has no audio column; its columns: text"):
        read(f"hf:{tmp_path}/texts")


def test_a_cache_that_cannot_be_written_is_one_sentence(local: Callable[..., Path], cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be kept in"):
        read(f"hf:{local(text=list('abcd'))}")


@pytest.mark.parametrize("name", ["nobody/nothing", "nobody/nothing/en@test#5", "nothing"])
def test_a_name_without_a_network_is_one_sentence(name: str) -> None:
    with pytest.raises(UserError, match=f"hf:{name.partition('@')[0]} cannot be had"):
        read(f"hf:{name}")


@pytest.mark.parametrize("name", ["", "@test", "a#b", "a@test#x"])
def test_a_wrong_spelling_is_one_sentence(name: str) -> None:
    with pytest.raises(UserError, match=r"is not hf:NAME"):
        read(f"hf:{name}")
