"""Kill -9, ten times over, and two processes at once: the same rows in the end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from mpq.rows import TIMINGS
from mpq.store import Store

COMMAND = [sys.executable, "-m", "cli", "sweep", "--codec", "jpeg:quality=5,20,60", "--codec", "webp:quality=0,40",
           "--similarity", "none", "--workers", "2", "--out"]  # fmt: skip


def _rows(folder: Path) -> list[dict]:
    store = Store(folder, create=False)
    rows = [row for _, table in store.read() for row in table.drop_columns(list(TIMINGS)).to_pylist()]
    return sorted(rows, key=lambda row: (row["cell"], row["sample"]))


def _start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _wait_for_another_part(parts: Path, process: subprocess.Popen[bytes]) -> None:
    before = set(parts.glob("*.parquet"))
    while process.poll() is None and not set(parts.glob("*.parquet")) - before:
        time.sleep(0.01)


def test_ten_kills_and_a_restart_end_with_the_same_rows(tmp_path: Path) -> None:
    whole = _start(tmp_path / "whole")
    assert whole.wait() == 0
    rng = random.Random(0)
    kept = []
    for attempt in range(10):
        process = _start(tmp_path / "killed")
        if attempt % 2:  # anywhere: while it starts, while it runs, while it finishes
            time.sleep(rng.uniform(0.5, 6))
        else:  # just after a block was kept
            _wait_for_another_part(tmp_path / "killed" / "parts", process)
            time.sleep(rng.uniform(0, 0.2))
        process.kill()  # SIGKILL; nothing where it has ended already
        process.wait()
        kept.append({path.parent.name for path in (tmp_path / "killed").glob("*/*.parquet")})
    assert any("parts" in left for left in kept), "no kill hit a sweep under way: the test says nothing"
    assert _start(tmp_path / "killed").wait() == 0
    assert _rows(tmp_path / "killed") == _rows(tmp_path / "whole")
    assert not list((tmp_path / "killed" / "parts").glob("*.parquet"))


def test_two_processes_fill_one_folder(tmp_path: Path) -> None:
    both = [_start(tmp_path / "shared") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert _start(tmp_path / "alone").wait() == 0
    assert _rows(tmp_path / "shared") == _rows(tmp_path / "alone")
    assert len(list((tmp_path / "shared" / "cells").glob("*.parquet"))) == 6


def test_an_interrupt_ends_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    process = subprocess.Popen([*COMMAND, str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "parts").glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate()
    assert process.returncode == 130
    assert complaint.decode().strip() == (
        "stopped; what was finished is kept, and the same command goes on from there"
    )
    assert _start(tmp_path).wait() == 0
    assert len(_rows(tmp_path)) == 6 * 20
