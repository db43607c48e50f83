"""Source separation: how well are a mixture's stems told apart, and how near to those of the original?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpq.audio import AudioSample, resampled
from mpq.datasets.base import Dataset, Source, read_dataset
from mpq.datasets.separation.base import Track, read_stems
from mpq.errors import UserError
from mpq.metrics.audio import si_sdr
from mpq.metrics.separation import sdr
from mpq.models.base import load_model
from mpq.rows import Field
from mpq.tasks.base import Cells, Score, Task, View, everything
from reports.resampling import Median

if TYPE_CHECKING:
    from mpq.models.separation.base import Separator
    from mpq.plan import Plan

NO_DATA = (
    "separation needs music of yours: --data FOLDER, with MUSDB18-HQ (zenodo.org/records/3338373), with folders of a "
    "mixture and its stems, or with any sounds"
)

USUAL = ("vocals", "drums", "bass", "other")
"""Stems that have a column of their own."""


class Stems(NamedTuple):
    """sounds: (stems, channels, n) float32 at ``rate`` Hz, in the order of ``names``."""

    names: tuple[str, ...]
    sounds: np.ndarray
    rate: int


class Separation(Task):
    name = "separation"
    summary = "which part is whose: SDR of the stems, and against the stems of the original"
    samples = "audio"
    noun = "track"
    data = ""
    model = "hdemucs"
    codecs = ("opus:bitrate=32000,64000,96000,128000", "mp3")
    similarity = ("si-sdr",)
    block = (1, 1)
    scores = (
        Score(
            "sdr",
            "SDR",
            "dB",
            "mean over stems of the median over tracks of the median over seconds (museval's BSSEval v4)",
        ),
        *(
            Score(f"sdr_{stem}", f"SDR of {stem}", "dB", f"the same of {stem} alone", rank=6, heading=stem)
            for stem in USUAL
        ),
        Score("stem_si_sdr", "SI-SDR of stems", "dB", "scale-invariant, over whole tracks", rank=5),
        Score(
            "own_sdr",
            "SDR to own stems",
            "dB",
            "SDR against the stems that the model makes of the original (fidelity: needs no stems)",
            fidelity=True,
            interval=True,
            rank=4,
            heading="SDR to own",
        ),
    )
    fields = (
        Field("stems", "words", "the stems that the model tells apart and that are known"),
        Field("sdr", "doubles", "of each, dB: median over seconds; NaN where all are silent"),
        Field("stem_si_sdr", "doubles", "of each, dB, over the whole track"),
        Field("own_stems", "words", "all stems that the model tells apart"),
        Field("own_sdr", "doubles", "of each against that of the original, dB; infinite where equal"),
    )

    def read(self, plan: Plan) -> Dataset:
        if not plan.data:
            raise UserError(NO_DATA)
        dataset = read_dataset(plan.data, plan.labels, self.name)
        if not plan.no_labels:
            return dataset
        bare = tuple(Source(source.id, source.path) for source in dataset.sources)
        return Dataset(dataset.name, bare, problems=dataset.problems)

    def load(self, spec: str, weights: Path | None) -> Separator:
        return load_model(self.name, spec, weights)

    def fit(self, dataset: Dataset, models: list[Any]) -> tuple[Dataset, list[str]]:
        known = {name for source in dataset.sources for name, _ in _stems_of(source)}
        for model in models:
            if known and not known & set(model.stems):
                raise UserError(
                    f"{model.name} tells {', '.join(model.stems)} apart; '{dataset.name}' has {', '.join(sorted(known))}"
                )
        return dataset, []

    def targets(self, dataset: Dataset, model: Separator) -> list[dict[str, Any]]:
        there = ({name for name, _ in _stems_of(source)} for source in dataset.sources)
        return [{"stems": [name for name in model.stems if name in stems]} for stems in there]

    def truth(self, dataset: Dataset, source: Source) -> Stems | None:
        if not isinstance(source, Track) or not source.stems:
            return None
        return Stems(*read_stems(source))

    def prepared(self, model: Separator, sample: AudioSample) -> tuple[np.ndarray, AudioSample]:
        return model.preprocess(sample), sample

    def answers(self, model: Separator, inputs: list[Any]) -> list[Any]:
        return [Stems(model.stems, _as(sample, model, sound), sample.rate) for sound, sample in inputs]

    def unusable(self, answer: Stems) -> str | None:
        return None if np.isfinite(answer.sounds).all() else "its answer is not finite"

    def scored(
        self, answer: Stems, target: Mapping[str, Any], truth: Stems | None, original: Stems
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "own_stems": list(answer.names),
            "own_sdr": sdr(original.sounds, answer.sounds, answer.rate).tolist(),
        }
        if truth is not None and target["stems"]:
            right = truth.sounds[[truth.names.index(name) for name in target["stems"]]]
            made = answer.sounds[[answer.names.index(name) for name in target["stems"]]]
            found["sdr"] = sdr(right, made, answer.rate).tolist()
            found["stem_si_sdr"] = [si_sdr(r, m) for r, m in zip(right, made, strict=True)]
        return found

    def views(self, cells: Cells) -> list[View]:
        return [View("", [_medians(table) for _, table in cells], everything(cells))]

    def notes(self, score: str) -> list[str]:
        if score == "own_sdr":
            return [
                "No stems: what the model makes of the decoded is held against what it makes of the originals."
            ]
        return [
            "SDR: mean over stems of the median over tracks of the median over seconds, as museval v4 has it."
        ]


def _stems_of(source: Source) -> tuple[tuple[str, Path], ...]:
    return source.stems if isinstance(source, Track) else ()


def _as(sample: AudioSample, model: Separator, sound: np.ndarray) -> np.ndarray:
    """(stems, channels, n) float32 with the sample's rate, length and channels."""
    stems = model.separated(sound)
    if model.channels != sample.channels:  # copied to, or averaged from, as ``preprocess`` does the other way
        stems = np.repeat(stems.mean(axis=1, keepdims=True), sample.channels, axis=1)
    if model.rate != sample.rate:
        parts = [resampled(stem, model.rate, sample.rate)[:, : sample.length] for stem in stems]
        stems = np.stack(parts)
    return stems


def _medians(table: Any) -> dict[str, Median]:
    own = _by_stem(table, "own_stems", "own_sdr")
    sdrs = _by_stem(table, "stems", "sdr")
    everything = {
        "sdr": sdrs,
        "stem_si_sdr": _by_stem(table, "stems", "stem_si_sdr"),
        "own_sdr": own,
        **{f"sdr_{stem}": {stem: sdrs[stem]} for stem in USUAL if stem in sdrs},
    }
    nothing = np.full(table.num_rows, np.nan)
    return {
        key: Median(np.stack(list(columns.values()) or [nothing], axis=1))
        for key, columns in everything.items()
    }


def _by_stem(table: Any, names: str, values: str) -> dict[str, np.ndarray]:
    """Stem -> (tracks,) float64, NaN where a track has none."""
    found: dict[str, np.ndarray] = {}
    for row, (stems, figures) in enumerate(
        zip(table.column(names).to_pylist(), table.column(values).to_pylist(), strict=True)
    ):
        for stem, figure in zip(stems or (), figures or (), strict=False):
            place = found.setdefault(stem, np.full(table.num_rows, np.nan))
            place[row] = np.nan if figure is None else figure
    return found
