"""The command line as its users meet it: what it prints, what it refuses, and with which exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main

import cli
from tests.conftest import one_sentence

SMALL = ("--codec", "jpeg:quality=5,50", "--limit", 4, "--workers", 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished run, made by the command itself in a process of its own."""
    folder = tmp_path_factory.mktemp("run")
    command = [sys.executable, "-m", "cli", "sweep", *map(str, SMALL), "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr  # no terminal, no escapes
    assert "jpeg:quality=50" in done.stdout
    return folder


def test_help_answers_in_half_a_second() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "cli", "--help"], capture_output=True, check=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.5


def test_the_command_line_imports_nothing_heavy() -> None:
    code = "import cli, sys; print([m for m in ('torch', 'numpy', 'pyarrow', 'PIL', 'timm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_is_reported_again_from_disk(mpq: Callable, run: Path) -> None:
    shown = mpq("report", run)
    assert shown.status == 0
    assert "efficientnet-lite0 · 4 samples" in shown.out
    for setting in ("none (as stored)", "jpeg:quality=5", "jpeg:quality=50"):
        assert setting in shown.out


def test_json_csv_and_markdown_tell_the_same(mpq: Callable, run: Path) -> None:
    (section,) = json.loads(mpq("report", run, "--json").out)
    points = {(p["codec"], p["setting"]): p for p in section["points"]}
    rows = list(csv.DictReader(io.StringIO(mpq("report", run, "--csv").out)))
    assert len(rows) == len(points) == 3
    for row in rows:
        point = points[row["codec"], row["setting"]]
        assert float(row["bpp.value"]) == pytest.approx(point["bpp"]["value"])
        assert float(row["scores.top1.value"]) == pytest.approx(point["scores"]["top1"]["value"])
    table = mpq("report", run, "--markdown").out
    assert table.count("\n| ") == 5  # header, rule, three points
    assert f"| jpeg:quality=5 | {points['jpeg', 'quality=5']['bpp']['value']:.3f} |" in table


def test_json_has_no_infinities(mpq: Callable, run: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads(mpq("report", run, "--json").out, parse_constant=refuse)


def test_a_run_states_what_it_was_made_with(run: Path) -> None:
    (path,) = (run / "invocations").iterdir()
    content = json.loads(path.read_text())
    assert content["command"].endswith(f"--limit 4 --workers 1 --out {run}")
    assert content["plan"]["models"][0]["weights"].startswith("579344248a93e230")
    assert content["plan"]["dataset"]["samples"] == 4
    assert content["environment"]["packages"]["torch"]
    assert content["environment"]["cores"] >= 1


def test_recommend_names_a_setting_or_says_that_there_is_none(mpq: Callable, run: Path) -> None:
    shown = mpq("recommend", run, "--max-drop", 100)
    assert shown.status == 0
    assert "quality=5" in shown.out
    (row,) = csv.DictReader(io.StringIO(mpq("recommend", run, "--max-drop", 100, "--csv").out))
    (point,) = json.loads(mpq("recommend", run, "--max-drop", 100, "--json").out)[0]["points"]
    assert row["dataset"] == point["dataset"] == "embedded" and row["model"] == "efficientnet-lite0"
    assert float(row["change.low"]) == pytest.approx(point["change"]["low"])


def test_roundtrip_writes_both_files(mpq: Callable, photographs: list[Path], tmp_path: Path) -> None:
    shown = mpq("roundtrip", photographs[0], "--codec", "jpeg:quality=10", "--out", tmp_path)
    assert shown.status == 0
    stream = tmp_path / "imagenet_00_243.jpeg-quality=10.jpg"
    assert f"{stream.stat().st_size:,} bytes" in shown.out
    assert (tmp_path / "imagenet_00_243.jpeg-quality=10.decoded.png").is_file()
    assert "before → after" in shown.out


@pytest.mark.parametrize("command", ["codecs", "models", "datasets", "metrics"])
def test_what_there_is_is_listed(mpq: Callable, command: str) -> None:
    shown = mpq(command)
    assert shown.status == 0
    expected = {
        "codecs": "webp",
        "models": "efficientnet-lite2",
        "datasets": "embedded",
        "metrics": "ms-ssim",
    }
    assert expected[command] in shown.out


def test_a_printed_plan_is_a_plan(mpq: Callable, tmp_path: Path) -> None:
    printed = mpq("sweep", *SMALL, "--print-plan")
    path = tmp_path / "plan.yaml"
    path.write_text(printed.out)
    assert mpq("sweep", path, "--print-plan").out == printed.out
    assert "limit: 9\n" in mpq("sweep", path, "--limit", 9, "--print-plan").out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["swep"], "Did you mean 'sweep'"),
        (["sweep", "--codek", "jpeg"], "--codek"),
        (["sweep", "--codec", "jpg"], "did you mean 'jpeg'"),
        (["sweep", "--codec", "jpeg:quality=0"], "from 1 to 100"),
        (["sweep", "--model", "efficientnet-lite7"], "did you mean"),
        (["sweep", "--data", "/nosuch"], "neither a folder nor a data set"),
        (["sweep", "--similarity", "psnrr"], "did you mean 'psnr'"),
        (["sweep", "--limit", "0"], "at least 1"),
        (["sweep", "--limit", "some"], "'--limit'"),
        (["sweep", "--weights", "nosuch.pth"], "'nosuch.pth' for efficientnet-lite0 do not exist"),
        (["sweep", "--out", "/dev/null/run"], "cannot be written"),
        (["sweep", "--device", "abacus"], "abacus"),
        (["sweep", "nosuch.yaml"], "nosuch.yaml"),
        (["report", "/nosuch"], "not a run"),
        (["report", "{run}", "--json", "--csv"], "choose one"),
        (["sweep", "--json", "--csv"], "choose one"),
        (["sweep", "--out", "~nosuchuser/x"], "no path that can be used"),
        (["sweep", "--seed", "-1"], "at least 0"),
        (["roundtrip", "/nosuch.png", "--codec", "jpeg:quality=5"], "/nosuch.png"),
        (["roundtrip", "{picture}", "--codec", "jpeg"], "7 settings"),
        (["roundtrip", __file__, "--codec", "jpeg:quality=5"], "not a picture"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_status_2(
    mpq: Callable,
    run: Path,
    photographs: list[Path],
    tmp_path: Path,
    monkeypatch,
    arguments: list[str],
    named: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named in one_sentence(mpq(*(a.format(run=run, picture=photographs[0]) for a in arguments)))


def test_bad_samples_are_named_the_good_ones_are_swept_and_the_status_is_2(
    mpq: Callable, photographs: list[Path], tmp_path: Path
) -> None:
    data = tmp_path / "pictures"
    data.mkdir()
    (data / "good.jpg").write_bytes(photographs[0].read_bytes())
    (data / "bad.jpg").write_text("no picture")
    shown = mpq(
        "sweep", "--data", data, "--codec", "jpeg:quality=5", "--workers", 1, "--out", tmp_path / "run"
    )
    assert shown.status == 2
    assert "bad.jpg: not a picture" in shown.err
    assert "jpeg:quality=5" in shown.out
    assert "1 of 2 samples could not be read" in " ".join(shown.out.split())


@pytest.fixture
def good_and_wide(photographs: list[Path], tmp_path: Path, noise: Callable) -> Path:
    """A photograph, and a picture that is wider than WebP can hold."""
    data = tmp_path / "pictures"
    data.mkdir()
    (data / "good.jpg").write_bytes(photographs[0].read_bytes())
    noise(17_000, 128).save(data / "wide.png")
    return data


def test_a_report_allows_the_failures_that_its_sweep_allowed(
    mpq: Callable, good_and_wide: Path, tmp_path: Path
) -> None:
    mpq("sweep", "--data", good_and_wide, "--codec", "webp:quality=5", "--workers", 1, "--max-failures", 0.5,
        "--out", tmp_path / "run")  # fmt: skip
    assert "failed: 1 of 2" not in mpq("report", tmp_path / "run").out
    assert "failed: 1 of 2" in mpq("report", tmp_path / "run", "--max-failures", 0.1).out


def test_weights_on_the_command_line_join_those_of_the_plan(mpq: Callable, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "model: [efficientnet-lite0, efficientnet-lite2]\nweights: {efficientnet-lite2: two.pth}\n"
    )
    printed = mpq("sweep", plan, "--weights", "efficientnet-lite0=zero.pth", "--print-plan").out
    assert "efficientnet-lite0: zero.pth" in printed
    assert "efficientnet-lite2: two.pth" in printed


def test_a_reader_that_has_seen_enough_is_no_error(run: Path) -> None:
    for options in ("", "--json", "--markdown"):
        command = (
            f"set -o pipefail; '{sys.executable}' -m cli report '{run}' {options} | head -c 1 >/dev/null"
        )
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_an_ascii_terminal_shows_what_it_can(run: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "report", str(run)], env=env, capture_output=True, check=True
    )
    assert b"jpeg:quality=5" in done.stdout


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120, 200])
def test_figures_are_whole_or_left_out_at_every_width(
    mpq: Callable, run: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    (section,) = json.loads(mpq("report", run, "--json").out)
    out = mpq("report", run).out
    assert max(map(len, out.splitlines())) <= columns
    for point in section["points"]:
        bpp = point["bpp"]["value"]
        assert f" {bpp:.2f} " in out or f" {bpp:.3f} " in out
    assert ("PSNR" in out) == (columns >= 80)
    assert ("dec ms" in out) == (columns >= 120)


def test_control_characters_in_names_do_not_reach_the_terminal(
    mpq: Callable, tmp_path: Path, photographs
) -> None:
    (tmp_path / "good.jpg").write_bytes(photographs[0].read_bytes())
    (tmp_path / "bad\x1b[31m\n.jpg").write_text("no picture")
    shown = mpq(
        "sweep", "--data", tmp_path, "--codec", "jpeg:quality=5", "--workers", 1, "--out", tmp_path / "run"
    )
    assert "\x1b" not in shown.err
    assert "bad\\x1b[31m .jpg: not a picture" in shown.err


@pytest.mark.parametrize("form", [(), ("--markdown",), ("--latex",)])
def test_control_characters_in_a_folders_name_do_not_either(
    mpq: Callable, tmp_path: Path, photographs, form: tuple[str, ...]
) -> None:
    data = tmp_path / "holiday\x1b[31m\x9b2J"
    data.mkdir()
    (data / "good.jpg").write_bytes(photographs[0].read_bytes())
    shown = mpq(
        "sweep", "--data", data, "--codec", "jpeg:quality=5", "--workers", 1, "--out", tmp_path / "run", *form
    )
    assert shown.status == 0 and "x1b" in shown.out
    assert all(c.isprintable() or c == "\n" for c in shown.out)


def test_a_cell_with_too_many_failures_has_no_score_and_status_3(
    mpq: Callable, good_and_wide: Path, tmp_path: Path
) -> None:
    arguments = ["sweep", "--data", good_and_wide, "--codec", "jpeg:quality=5", "--codec", "webp:quality=5",
                 "--workers", 1, "--out", tmp_path / "run"]  # fmt: skip
    shown = mpq(*arguments)
    assert shown.status == 3
    assert "failed: 1 of 2" in shown.out
    assert "webp:quality=5: 1 sample failed" in " ".join(shown.out.split())
    assert mpq(*arguments, "--max-failures", 0.5).status == 0


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(
    mpq: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("sweep", *SMALL, "--out", tmp_path)
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in one_sentence(mpq(*arguments))
    monkeypatch.setattr(os, "fsync", real)
    assert mpq(*arguments).status == 0


def test_every_command_and_option_has_a_help_line() -> None:
    group = typer.main.get_command(cli.mpq)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.param_type_name == "argument", (
                name,
                parameter.name,
            )
