"""Speech through codecs and a real recogniser: a sweep's figures against jiwer on independently made transcripts."""

from __future__ import annotations

import json
from pathlib import Path

import jiwer
import numpy as np
import pytest

from mpq.audio import AudioSample, read_audio
from mpq.audio_files import wav
from mpq.codecs.base import parse_codec
from mpq.datasets.base import read_dataset
from mpq.metrics.transcripts import normalised
from mpq.models.base import load_model
from mpq.plan import Plan
from mpq.recommend import recommend
from mpq.report import section
from mpq.store import Store
from mpq.summary import Group, summarize
from mpq.sweep import Sweep
from mpq.tasks.speech import Speech

CODECS = ("opus:bitrate=6000", "mp3:bitrate=8000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four embedded utterances, 10 ms of one of them, and a broken MP3, with transcripts."""
    folder = tmp_path_factory.mktemp("talk")
    lines = ["path\tsentence"]
    for i, source in enumerate(read_dataset("embedded", task="speech").sources[:4]):
        (folder / f"{i}.wav").write_bytes(source.read())
        lines.append(f"{i}.wav\t{source.label}")
    sample = read_audio((folder / "0.wav").read_bytes())
    (folder / "short.wav").write_bytes(wav(sample.samples[:, 9000:9480], sample.rate))
    (folder / "broken.mp3").write_bytes(b"\xff\xfb\x90\x44" + bytes(400))
    lines += ["short.wav\tit", "broken.mp3\tnothing of this is heard"]
    (folder / "transcripts.tsv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("run"))
    plan = Plan(task="speech", codec=CODECS, data=str(folder), similarity=("si-sdr",), max_failures=0.5)
    Sweep.prepare(plan).run(store, workers=1)
    return store


@pytest.fixture(scope="module")
def group(store: Store) -> Group:
    (group,) = summarize(store.read(), resamples=500)
    return group


def test_a_score_is_jiwers_on_transcripts_made_apart(folder: Path, group: Group) -> None:
    recogniser = load_model("speech", "whisper:tiny.en").on("cpu")
    dataset = read_dataset(str(folder), task="speech")
    sources = [s for s in dataset.sources if s.path.suffix == ".wav"]
    said = [normalised(str(s.label), "en") for s in sources]
    for spec in ("none", "mp3:bitrate=8000"):
        heard = []
        for source in sources:
            sample = read_audio(source.read())
            if spec != "none":
                (codec,) = parse_codec(spec)
                sample = codec.decode(codec.encode(sample).data)
            heard += recogniser.transcripts([recogniser.preprocess(sample)])
        point = next(p for p in group.points if p.spec == spec)
        assert point.scores["wer"].value == pytest.approx(
            jiwer.wer(said, [normalised(t, "en") for t in heard])
        )
        assert point.scores["raw_wer"].value == pytest.approx(
            jiwer.wer([str(s.label) for s in sources], heard)
        )
        assert point.scores["accuracy"].value == pytest.approx(1 - point.scores["wer"].value)
        assert point.trials == sum(len(text.split()) for text in said)


def test_a_rate_is_the_bytes_of_the_streams(folder: Path, group: Group) -> None:
    samples = [read_audio(path.read_bytes()) for path in sorted(folder.glob("*.wav"))]
    for spec in CODECS:
        (codec,) = parse_codec(spec)
        bits = sum(8 * len(codec.encode(sample).data) for sample in samples)
        point = next(p for p in group.points if p.spec == spec)
        assert point.rate.value == pytest.approx(bits / sum(s.seconds for s in samples) / 1000)
        assert point.rates["bits_a_sample"] == pytest.approx(bits / sum(s.samples.size for s in samples))


def test_what_is_broken_is_a_row_with_an_error_and_no_score(store: Store) -> None:
    for _, table in store.read():
        rows = {row["sample"]: row for row in table.to_pylist()}
        assert rows["broken.mp3"]["error"].startswith("source: ")
        assert rows["broken.mp3"]["hypothesis"] is rows["broken.mp3"]["words"] is None
        assert rows["broken.mp3"]["reference"] == "nothing of this is heard"
        assert rows["short.wav"]["error"] is None
        assert rows["short.wav"]["length"] == 480


def test_the_original_is_its_own_transcript(store: Store) -> None:
    for identity, table in store.read():
        if identity["codec"]["name"] == "none":
            assert set(table.column("own_word_errors").to_pylist()) == {0, None}


def test_hard_coding_costs_words_and_the_report_says_so(group: Group) -> None:
    mp3 = next(p for p in group.points if p.codec == "mp3")
    assert mp3.changes["wer"].difference.value > 0.1
    assert mp3.changes["wer"].loss == mp3.changes["wer"].difference.value
    shown = section(group)
    assert "[red]+" in next(r for r in shown.table.rows if r["codec"] == "mp3")["change"]
    assert shown.curve is not None and shown.curve.y_title == "WER %" and shown.curve.x_title == "kbps"
    assert any("one word weighs" in note for note in shown.notes), shown.notes
    data = json.loads(json.dumps(shown.data))
    assert {"kbps", "mean_kbps", "payload_kbps", "bits_a_sample"} <= data[1].keys()


def test_allowed_losses_are_points_of_errors_more(store: Store, group: Group) -> None:
    (loss,) = (p.changes["wer"].loss * 100 for p in group.points if p.codec == "mp3")
    (group,) = summarize(store.read(), drops=(loss - 0.1, loss + 0.1), resamples=200)
    recommended = {r.codec: r.point for r in recommend(group, loss - 0.1)}
    assert recommended["mp3"] is None
    recommended = {r.codec: r.point for r in recommend(group, loss + 0.1)}
    assert recommended["mp3"] is not None
    assert " WER" in section(group, max_drop=loss + 0.1).answer


def test_without_transcripts_the_models_own_are_what_is_right(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    plan = Plan(
        task="speech", codec=("mp3:bitrate=8000",), data=str(folder), no_labels=True, limit=3, similarity=()
    )
    Sweep.prepare(plan).run(store, workers=1)
    (group,) = summarize(store.read(), resamples=200)
    assert group.score.key == "drift_wer"
    assert group.points[0].scores["drift_wer"].value == 0
    assert group.points[0].scores["drift_wer"].low is None
    assert group.points[1].changes["drift_wer"].difference.value > 0
    assert "No transcripts" in section(group).notes[0]


def test_nothing_said_and_something_heard_are_insertions_alone() -> None:
    found = Speech().scored(("So it is.", "en"), {"reference": ""}, None, "so it is")
    assert (found["words"], found["insertions"], found["own_word_errors"]) == (0, 3, 0)
    assert (found["substitutions"], found["deletions"]) == (0, 0)


def test_no_error_among_few_words_is_not_certain() -> None:
    """119 words without an error: Clopper and Pearson's upper end is 1 − 0.025^(1/119)."""
    import pyarrow as pa

    from mpq.rows import schema, to_table

    rows = [
        {"sample": f"{i}", "dataset": "d", "model": "m", "weights_sha256": "w", "codec": codec, "setting": "",
         "bits": 8, "payload_bits": 8, "channels": 1, "length": 16000, "sample_rate": 16000,
         "words": 17, "substitutions": 0, "deletions": 0, "insertions": 0}
        for codec in ("none", "opus") for i in range(7)
    ]  # fmt: skip
    cells = [
        (
            {
                "rows": 3,
                "task": {"name": "speech"},
                "dataset": {},
                "model": {},
                "targets": "",
                "codec": {"name": codec},
            },
            to_table([row for row in rows if row["codec"] == codec], schema(Speech().row_fields)),
        )
        for codec in ("none", "opus")
    ]
    (group,) = summarize(cells, resamples=100)
    expected = 1 - 0.025 ** (1 / 119)
    assert group.points[1].scores["wer"].high == pytest.approx(expected)
    change = group.points[1].changes["wer"].difference
    assert (change.low, change.high) == (pytest.approx(-expected), pytest.approx(expected))
    assert 0.5 < group.points[1].confidence[1.0] < 1
    assert isinstance(cells[0][1], pa.Table)


def test_stereo_is_heard_as_the_mean_of_its_channels() -> None:
    recogniser = load_model("speech", "whisper:tiny.en")
    left = np.random.default_rng(0).normal(size=4000).astype(np.float32) / 9
    stereo = AudioSample(np.stack([left, -left]), 16_000)
    assert np.abs(recogniser.preprocess(stereo)).max() == 0
