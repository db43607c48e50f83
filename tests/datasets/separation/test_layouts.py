"""Tracks and their stems: every layout is recognised, every lack is named, and stems must fit their mixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mpq.audio import read_audio
from mpq.audio_files import wav
from mpq.datasets.base import Source, read_dataset
from mpq.datasets.separation.base import Track, read_stems
from mpq.errors import UserError
from mpq.samples import SampleError

STEMS = ("drums", "bass", "other", "vocals")


def noise(seed: int = 0, length: int = 800, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.1, 0.1, (channels, length)).astype(np.float32)


@pytest.fixture
def track() -> Callable[..., Path]:
    """Writes a track's folder, whose mixture is the sum of its stems."""

    def write(folder: Path, *stems: str) -> Path:
        folder.mkdir(parents=True)
        sounds = {name: noise(seed) for seed, name in enumerate(stems)}
        for name, sound in sounds.items():
            (folder / f"{name}.wav").write_bytes(wav(sound, 44_100))
        mixture = sum(sounds.values(), np.zeros((2, 800), np.float32))
        (folder / "mixture.wav").write_bytes(wav(mixture, 44_100))
        return folder

    return write


@pytest.fixture
def musdb(tmp_path: Path, track: Callable[..., Path]) -> Path:
    root = tmp_path / "musdb18hq"
    for split, name in (("test", "B - Song"), ("test", "A - Song"), ("train", "C - Song")):
        track(root / split / name, *STEMS)
    return root


def read(data: object) -> tuple[Track, ...]:
    tracks = read_dataset(str(data), task="separation").sources
    assert all(isinstance(t, Track) for t in tracks)
    return tracks  # type: ignore[return-value]


def test_a_bare_musdb_folder_is_its_test_tracks_in_order(musdb: Path) -> None:
    dataset = read_dataset(str(musdb), task="separation")
    assert dataset.name == "musdb18-hq-test" and dataset.problems == ()
    tracks = read(musdb)
    assert [t.id for t in tracks] == ["A - Song", "B - Song"]
    assert [name for name, _ in tracks[0].stems] == list(STEMS)
    assert tracks[0].read() == (musdb / "test" / "A - Song" / "mixture.wav").read_bytes()
    assert [path.name for path in tracks[0].companions] == [f"{stem}.wav" for stem in STEMS]


def test_musdb_by_name_with_a_split(musdb: Path) -> None:
    assert [t.id for t in read(f"musdb:{musdb}@train")] == ["C - Song"]
    assert read(f"musdb:{musdb}") == read(f"musdb:{musdb}@test") == read(musdb)


def test_a_folder_may_have_an_at_in_its_name(musdb: Path) -> None:
    place = musdb.rename(musdb.with_name("me@train"))
    assert [t.id for t in read(f"musdb:{place}")] == ["A - Song", "B - Song"]
    assert [t.id for t in read(f"musdb:{place}@train")] == ["C - Song"]


def test_one_split_alone_is_a_folder_of_tracks(musdb: Path) -> None:
    assert [t.id for t in read(musdb / "train")] == ["C - Song"]


def test_a_musdb_track_that_lacks_a_stem_is_named(musdb: Path) -> None:
    for name in ("bass", "vocals"):
        (musdb / "test" / "A - Song" / f"{name}.wav").unlink()
    dataset = read_dataset(str(musdb), task="separation")
    assert [source.id for source in dataset.sources] == ["B - Song"]
    assert dataset.problems == ("test/A - Song lacks bass.wav, vocals.wav",)


def test_what_is_not_musdb_is_one_sentence(tmp_path: Path, track) -> None:
    track(tmp_path / "half" / "train" / "A", *STEMS)
    with pytest.raises(UserError, match="holds no test tracks.*musdb:.*half@train"):
        read(tmp_path / "half")
    (tmp_path / "first" / "test").mkdir(parents=True)
    (tmp_path / "first" / "test" / "A.stem.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=r"MUSDB18 as \.stem\.mp4 files"):
        read(tmp_path / "first")
    with pytest.raises(UserError, match=r"no test/TRACK/mixture\.wav"):
        read(f"musdb:{tmp_path}")
    for data, named in (("musdb", "which folder"), (f"musdb:{tmp_path}/nosuch", "is not a folder")):
        with pytest.raises(UserError, match=named):
            read(data)
    with pytest.raises(UserError, match="takes no labels"):
        read_dataset(f"musdb:{tmp_path}", "labels.csv", task="separation")


def test_tracks_of_ones_own_at_any_depth_with_any_stems(tmp_path: Path, track) -> None:
    track(tmp_path / "mine" / "live" / "Song", "Guitar", "vocals")
    track(tmp_path / "mine" / "Demo", "vocals", "guitar")
    (tmp_path / "mine" / "Demo" / "guitar.wav").rename(tmp_path / "mine" / "Demo" / "guitar.flac")
    (tmp_path / "mine" / "Demo" / "notes.txt").write_text("no sound")
    assert [(t.id, [(n, p.name) for n, p in t.stems]) for t in read(tmp_path / "mine")] == [
        ("Demo", [("guitar", "guitar.flac"), ("vocals", "vocals.wav")]),
        ("live/Song", [("guitar", "Guitar.wav"), ("vocals", "vocals.wav")]),
    ]


def test_a_folder_that_is_one_track(tmp_path: Path, track) -> None:
    assert [t.id for t in read(track(tmp_path / "Song", "vocals"))] == ["Song"]


def test_tracks_that_are_not_whole_are_named(tmp_path: Path, track) -> None:
    root = tmp_path / "mine"
    track(root / "A", "vocals", "drums")
    track(root / "B", "vocals")
    track(root / "C")
    track(root / "D", "vocals")
    (root / "D" / "vocals.mp3").write_bytes(b"")
    track(root / "E", "vocals")
    (root / "E" / "mixture.wav").unlink()
    dataset = read_dataset(str(root), task="separation")
    assert [source.id for source in dataset.sources] == ["A", "B"]
    assert dataset.problems == (
        "C holds no stem beside its mixture",
        "D holds two files called vocals",
        "E holds no mixture",
        "B has no drums, which other tracks have",
    )


def test_sounds_without_stems_are_a_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.wav", "deep/a.wav"):
        (tmp_path / name).write_bytes(wav(noise(), 44_100))
    sources = read_dataset(str(tmp_path), task="separation").sources
    assert [type(source) for source in sources] == [Source, Source]
    assert [source.id for source in sources] == ["b.wav", "deep/a.wav"]


def test_stems_change_the_fingerprint(musdb: Path) -> None:
    before = read_dataset(str(musdb), task="separation").fingerprint
    (musdb / "test" / "A - Song" / "bass.wav").write_bytes(wav(noise(9), 44_100))
    assert read_dataset(str(musdb), task="separation").fingerprint != before


def test_stems_are_read_in_their_order_and_sum_to_the_mixture(musdb: Path) -> None:
    first = read(musdb)[0]
    names, stems, rate = read_stems(first)
    assert (names, stems.shape, stems.dtype, rate) == (STEMS, (4, 2, 800), np.float32, 44_100)
    for seed, stem in enumerate(stems):
        assert stem == pytest.approx(noise(seed), abs=1 / 65_536)
    mixture = read_audio(first.read())
    # Each of the five files was rounded to 16 bits.
    assert stems.sum(0) == pytest.approx(mixture.samples, abs=5 / 65_536)
    assert np.array_equal(read_stems(first, mixture)[1], stems)


@pytest.mark.parametrize(
    ("sound", "rate", "named"),
    [
        (noise(length=799), 44_100, "its stem bass is 2 × 799 samples at 44100 Hz, the mixture 2 × 800"),
        (noise(length=801), 44_100, "2 × 801 samples"),
        (noise(channels=1), 44_100, "1 × 800 samples"),
        (noise(), 48_000, "at 48000 Hz"),
    ],
)
def test_a_stem_that_does_not_fit_its_mixture_is_one_sentence(
    sound: np.ndarray, rate: int, named: str, musdb: Path
) -> None:
    first = read(musdb)[0]
    first.stems[1][1].write_bytes(wav(sound, rate))
    with pytest.raises(SampleError, match=named):
        read_stems(first)


def test_a_stem_or_mixture_that_cannot_be_read_is_one_sentence(musdb: Path) -> None:
    first = read(musdb)[0]
    first.stems[0][1].write_bytes(b"no sound")
    with pytest.raises(SampleError, match="its stem drums: not a sound"):
        read_stems(first)
    first.stems[0][1].unlink()
    with pytest.raises(SampleError, match="its stem drums cannot be read: No such file"):
        read_stems(first)
    first.path.write_bytes(b"")
    with pytest.raises(SampleError, match="not a sound"):
        read_stems(replace(first, stems=()))
