"""Shares of a sweep: together they are the whole, whoever makes them and wherever they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpq.engine import WHOLE, Shard
from mpq.errors import UserError
from tests.test_resume import _rows

ASKED = ["sweep", "--codec", "jpeg:quality=5", "--similarity", "none", "--workers", 1, "--limit", 12]


@given(st.integers(0, 40), st.integers(1, 9))
def test_every_block_is_in_one_share(blocks: int, count: int) -> None:
    whole = [[i] for i in range(blocks)]
    shares = [Shard(number, count).of(whole) for number in range(1, count + 1)]
    assert sorted(block for share in shares for block in share) == whole
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert WHOLE.of(whole) == whole


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/2", "١/٢"])
def test_what_is_no_share_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="--shard is a number of a count, such as 2/8"):
        Shard.parse(text)
    assert str(Shard.parse(" 2/8 ")) == "2/8"


def test_shares_in_one_folder_end_as_the_whole(mpq: Callable, tmp_path: Path) -> None:
    mpq(*ASKED, "--out", tmp_path / "whole")
    for number in (3, 1, 2):
        said = mpq(*ASKED, "--out", tmp_path / "shared", "--shard", f"{number}/3")
        assert said.status == 0
        assert (f"share {number}/3 is done; 0 of 2 cells are whole" in said.err) == (number != 2)
    assert "top-1" in said.out  # the last one gathers, and shows what there is
    assert _rows(tmp_path / "shared") == _rows(tmp_path / "whole")


def test_shares_in_folders_of_their_own_are_merged_and_finished(mpq: Callable, tmp_path: Path) -> None:
    mpq(*ASKED, "--out", tmp_path / "whole")
    folders = [tmp_path / str(number) for number in (1, 2)]
    for number, folder in enumerate(folders, start=1):
        mpq(*ASKED, "--out", folder, "--shard", f"{number}/2")
    assert "goes on from the parts" in mpq("merge", *folders, "--out", tmp_path / "merged").out
    assert mpq(*ASKED, "--out", tmp_path / "merged").status == 0  # codes nothing, gathers all
    assert _rows(tmp_path / "merged") == _rows(tmp_path / "whole")
