"""A sweep on a Ray cluster of several nodes, on this machine: the same rows, whatever is lost on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mpq import engine
from mpq.errors import UserError
from mpq.plan import Plan
from mpq.store import Store
from mpq.sweep import Sweep
from tests.test_engine import Squares, _rows
from tests.test_resume import _rows as rows_of

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Of a node without a core, which keeps the books, and two with one each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 10**8})
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=10**8)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


@dataclass
class SlowSquares(Squares):
    """Also writes down each block that it begins, and on which node."""

    seconds: float = 0.4
    begun: str = ""

    def code(self, block: engine.Block) -> Iterator[Any]:
        with Path(self.begun).open("a") as file:
            file.write(f"{ray.get_runtime_context().get_node_id()} {block[0]}\n")
        for piece in super().code(block):
            time.sleep(self.seconds)
            yield piece


def on(cluster: Any, job: Squares, **options: Any) -> list[dict[str, Any]]:
    return _rows(job, workers=2, cluster=cluster.address, **options)


def test_rows_are_those_of_one_process(cluster: Any) -> None:
    pieces: list[None] = []
    assert on(cluster, Squares(), on_piece=lambda: pieces.append(None)) == _rows(Squares(), workers=1)
    assert len(pieces) == 8
    assert on(cluster, Squares(), skip=lambda block: block[0] == 3) == [
        row for row in _rows(Squares(), workers=1) if row["i"] not in (3, 4)
    ]


def test_a_sample_that_kills_its_worker_is_the_only_one_lost(cluster: Any) -> None:
    rows = on(cluster, Squares(dies_at=4))
    assert [row.get("square") for row in rows] == [0, 1, 4, 9, None, 25, 36, 49]
    assert rows[4]["error"].startswith("the worker was lost (")


def test_a_sample_that_hangs_is_the_only_one_lost(cluster: Any) -> None:
    rows = on(cluster, Squares(hangs_at=4), patience=2.0)
    assert [row.get("square") for row in rows] == [0, 1, 4, 9, None, 25, 36, 49]
    assert rows[4]["error"] == "a block took more than 2 s"


def test_mistakes_are_mistakes_there_too(cluster: Any) -> None:
    with pytest.raises(UserError, match="sample 6 is bad"):
        on(cluster, Squares(fails_at=6))
    with pytest.raises(RuntimeError, match="sample 6 is bad"):
        on(cluster, Squares(fails_at=6, error=ValueError))
    with pytest.raises(UserError, match="were lost while they were starting"):
        on(cluster, Squares(opens=False))


def test_a_node_that_is_lost_takes_nothing_with_it(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=2, object_store_memory=10**8)
    cluster.wait_for_nodes()
    blocks = [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(8)]
    log = tmp_path / "begun"
    job = SlowSquares(seconds=0.8, begun=str(log))

    def kill() -> None:
        while not (log.exists() and node.node_id in log.read_text()):  # until it is at work
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    found = list(engine.run(job, blocks, workers=4, cluster=cluster.address))
    killer.join()
    begun = [line.split()[1] for line in log.read_text().splitlines()]
    assert len(begun) > len(set(begun)) == len(blocks), "no block was lost: the test says nothing"
    rows = sorted((row for _, rows in found for row in rows), key=lambda row: row["i"])
    assert [row["i"] for row in rows] == list(range(24))  # none is missing, none counted twice
    assert all(row["square"] == row["i"] ** 2 for row in rows)


def test_a_sweep_is_the_same_to_the_last_bit(cluster: Any, tmp_path: Path) -> None:
    made = Sweep.prepare(Plan(codec=("jpeg:quality=5",), similarity=("psnr",), limit=12))
    made.run(Store(tmp_path / "here"), workers=1)
    made.run(Store(tmp_path / "there"), cluster=cluster.address)
    assert rows_of(tmp_path / "there") == rows_of(tmp_path / "here")


def test_words_that_name_no_engine_and_no_cluster(mpq: Callable, tmp_path: Path) -> None:
    said = mpq("sweep", "--engine", "spark", "--out", tmp_path)
    assert said.status == 2 and "--engine is local or ray, not 'spark'" in said.err
