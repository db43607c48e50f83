"""Benchmarks: two programs that do the same, measured apart; and memory that stays far below an N × N table."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mpq.errors import UserError
from reid import benchmarks
from reid.benchmarks import MARKET_SIZE, Measured, Neighbors, SideBySide, Work, run, side_by_side, sizes_up_to
from reid.benchmarks_report import neighbors_section, side_by_side_section


@pytest.mark.parametrize("work", ["NFC", "re-ranking", "evaluation"])
def test_both_programs_give_the_same(work: Work) -> None:
    made = benchmarks._made(300, 48)
    published, ours = (run(work, program, *made) for program in ("published", "ours"))
    np.testing.assert_allclose(ours, published, atol=1e-6)


def test_an_evaluation_is_market1501s_size() -> None:
    query, gallery, both = benchmarks._made(MARKET_SIZE, 2)
    assert (len(query), len(gallery), len(both)) == (3368, 15913, 19281)
    assert MARKET_SIZE in sizes_up_to(100_000, "evaluation")
    assert sizes_up_to(100_000, "NFC") == [5_000, 10_000, 20_000, 50_000, 100_000]
    assert sizes_up_to(700, "NFC") == [700]


def test_side_by_side_in_processes_of_their_own() -> None:
    told: list[str] = []
    (one,) = side_by_side(400, works=("NFC",), dimensions=16, started=told.append)
    assert told == ["NFC of 400, published", "NFC of 400, ours"]
    assert one.published is not None
    assert one.difference is not None
    assert one.difference < 1e-6
    assert min(one.published.seconds, one.ours.seconds) > 0


def test_a_process_that_dies_is_told_in_a_sentence() -> None:
    with pytest.raises(UserError, match="lack of memory"):
        benchmarks._alone(os._exit, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="peaks can be forgotten on Linux only")
def test_no_work_holds_a_full_table() -> None:
    """Of 6,000 samples a table takes 144 MB; the blocks that are allowed take 64. Earlier peaks do not count."""
    program = (
        "import numpy as np, tempfile, pathlib, torch; torch.set_num_threads(1)\n"
        "from reid.benchmarks import _measure, _Clock\n"
        "clock = _Clock(); np.ones(100 * 2**20 // 8); print(clock.stop().extra)\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    for work in ('NFC', 're-ranking', 'evaluation'):\n"
        "        print(_measure(work, 'ours', 6000, 8, pathlib.Path(folder) / 'x.npy').extra)\n"
        "print(_measure('re-ranking', 'ours', 6000, 8, None).extra)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, *works = map(int, done.stdout.split())
    assert 95e6 < first < 125e6
    assert max(works) < 125e6


def test_faiss_is_checked_against_torch() -> None:
    pytest.importorskip("faiss", reason="faiss is not installed here")
    found = benchmarks._measure_neighbors(1500, 32, 100_000)
    assert (found.samples, found.checked, found.equal) == (1500, 500, 1.0)
    section = neighbors_section(found)
    assert "1,500 × 32" in section.answer
    assert section.table.rows[0]["equal"] == "100.0 % of 500"


def test_the_section_says_how_many_times_and_of_what() -> None:
    results = [
        SideBySide("NFC", 5_000, 873, Measured(1.0, 100), Measured(1.2, 400), 3e-8),
        SideBySide("NFC", 20_000, 3_494, Measured(4.0, 200_000_000), Measured(10.0, 4_000_000_000), 4e-8),
        SideBySide("NFC", 50_000, 8_734, Measured(30.0, 10**9), None, None),
        SideBySide("evaluation", 19_281, 3_368, Measured(0.5, 10**8), Measured(2.5, 10**9), 0.0),
    ]
    section = side_by_side_section(results, 768, 1)
    assert section.answer == (
        "NFC of 20,000 2.5 times as fast in 5 % of the memory; "
        "evaluation of 19,281 5.0 times as fast in 10 % of the memory."
    )
    assert [row["samples"] for row in section.table.rows] == ["5,000", "20,000", "50,000", "3,368 × 15,913"]
    assert "published" not in section.table.rows[2]
    assert section.data[1]["published"]["seconds"] == 10.0
    alone = side_by_side_section(results[2:3], 768, 3)
    assert alone.answer == "The published programs were not run at these sizes."


def test_on_the_cpu_the_neighbours_section_says_so() -> None:
    for gpus, words in ((0, "on the CPU;"), (1, "1 GPU "), (8, "8 GPUs of which it used one")):
        section = neighbors_section(Neighbors(10, 2, gpus, Measured(1.0, 1), 10, 1.0))
        assert words in section.notes[0]
