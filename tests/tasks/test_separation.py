"""Separation through a sweep, with a stand-in that gives each stem half of the mixture: its SDR can be told by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mpq.audio import read_audio
from mpq.audio_files import wav
from mpq.codecs.base import parse_codec
from mpq.errors import UserError
from mpq.models.base import ModelSource
from mpq.models.separation.base import Separator
from mpq.plan import Plan
from mpq.registry import models
from mpq.report import section
from mpq.store import Store
from mpq.summary import Group, summarize
from mpq.sweep import Sweep

RATE, SECONDS = 8000, 3


class _Halved(torch.nn.Module):
    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        return torch.stack([sound / 2, sound / 2], dim=1)


class Halves(ModelSource):
    name = "halves"
    task = "separation"
    summary = "half of the mixture for each stem"

    def load(self, variant: str, weights: Path | None) -> Separator:
        return Separator(
            name="halves", weights_sha256="", preprocessing="", version="", stems=("vocals", "drums"), rate=RATE,
            channels=2, network=_Halved(), chunk=RATE,
        )  # fmt: skip


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models("separation").entries, "halves", Halves)


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    """Three tracks of a musdb-like folder whose drums are the louder ones, track by track more so."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "tracks"
    for i in range(3):
        place = folder / "test" / f"track {i}"
        place.mkdir(parents=True)
        stems = {name: rng.normal(size=(2, RATE * SECONDS)) * level for name, level in
                 (("vocals", 0.05), ("drums", 0.05 * (1 + i)), ("bass", 0), ("other", 0))}  # fmt: skip
        for name, stem in {**stems, "mixture": sum(stems.values())}.items():
            (place / f"{name}.wav").write_bytes(wav(np.asarray(stem, np.float32), RATE))
    return folder


def _swept(data: Path, folder: Path, **options: object) -> Group:
    store = Store(folder)
    plan = Plan(task="separation", data=str(data), model=("halves",), **options)  # type: ignore[arg-type]
    Sweep.prepare(plan).run(store, workers=1)
    (group,) = summarize(store.read(), resamples=200)
    return group


def _plain(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Median over seconds of 10 log10(Σs²/Σ(s − ŝ)²)."""
    frames = []
    for second in range(SECONDS):
        s, e = (x[:, second * RATE : (second + 1) * RATE].astype(float) for x in (reference, estimate))
        frames.append(10 * np.log10((s**2).sum() / ((s - e) ** 2).sum()))
    return float(np.median(frames))


@pytest.mark.usefixtures("halves")
def test_sdr_is_the_mean_over_stems_of_medians_over_tracks(tracks: Path, tmp_path: Path) -> None:
    group = _swept(tracks, tmp_path / "run", codec=("mp3:bitrate=64000",))
    (codec,) = parse_codec("mp3:bitrate=64000")
    for point, way in ((group.points[0], None), (group.points[1], codec)):
        medians = []
        for stem in ("vocals", "drums"):
            figures = []
            for place in sorted((tracks / "test").iterdir()):
                mixture = read_audio((place / "mixture.wav").read_bytes())
                heard = mixture if way is None else way.decode(way.encode(mixture).data)
                right = read_audio((place / f"{stem}.wav").read_bytes()).samples
                figures.append(_plain(right, heard.samples / 2))
            medians.append(float(np.median(figures)))
            assert point.scores[f"sdr_{stem}"].value == pytest.approx(medians[-1], abs=1e-3)
        assert point.scores["sdr"].value == pytest.approx(np.mean(medians), abs=1e-3)
    assert group.score.key == "sdr"
    assert "sdr_bass" not in group.points[0].scores  # this model does not tell it apart
    shown = section(group)
    assert shown.table.columns[2].title == "SDR dB (95 %)"
    assert " dB" in shown.answer


@pytest.mark.usefixtures("halves")
def test_without_stems_the_models_own_are_what_is_right(tracks: Path, tmp_path: Path) -> None:
    group = _swept(tracks, tmp_path / "run", codec=("mp3:bitrate=64000",), no_labels=True)
    assert group.score.key == "own_sdr"
    assert 0 < group.points[1].scores["own_sdr"].value < 100
    shown = section(group)
    assert shown.answer.startswith("Nothing could be scored")
    assert shown.curve is not None


@pytest.mark.usefixtures("halves")
def test_a_stem_that_does_not_fit_is_an_error_row(tracks: Path, tmp_path: Path) -> None:
    stem = tracks / "test" / "track 1" / "drums.wav"
    stem.write_bytes(wav(np.zeros((2, 100), np.float32), RATE))
    group = _swept(tracks, tmp_path / "run", codec=("mp3:bitrate=64000",))
    assert [(p.samples, p.unreadable) for p in group.points] == [(2, 1), (2, 1)]


@pytest.mark.usefixtures("halves")
def test_a_model_of_other_stems_is_refused(tracks: Path, tmp_path: Path) -> None:
    for path in tracks.rglob("*.wav"):
        if path.stem in ("vocals", "drums"):
            path.rename(path.with_stem({"vocals": "flute", "drums": "harp"}[path.stem]))
    with pytest.raises(UserError, match=r"halves tells vocals, drums apart; 'tracks' has"):
        Sweep.prepare(Plan(task="separation", data=f"stems:{tracks}", model=("halves",)))
