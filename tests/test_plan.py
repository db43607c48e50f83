"""Plans: what is written is read back, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpq.errors import UserError
from mpq.plan import Plan, plan_from, read_plan, to_yaml

words = st.text(min_size=1, max_size=12).filter(lambda s: s.isprintable())


@given(
    codec=st.lists(words, min_size=1).map(tuple),
    data=words,
    labels=st.none() | words,
    model=st.lists(words, min_size=1).map(tuple),
    similarity=st.lists(st.sampled_from(["psnr", "ssim", "ms-ssim"]), unique=True).map(tuple),
    limit=st.none() | st.integers(1),
    max_failures=st.floats(0, 1),
    no_labels=st.booleans(),
)
def test_a_plan_is_read_back_as_it_was_written(tmp_path_factory, **values) -> None:
    plan = Plan(**values)
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(to_yaml(plan), encoding="utf-8")
    assert read_plan(path) == plan


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("codecs: [jpeg]", "unknown key 'codecs'; did you mean 'codec'"),
        ("codec: 5", "codec is a list of codec specs, not 5"),
        ("limit: many", "limit is a whole number, not 'many'"),
        ("limit: true", "limit is a whole number, not True"),
        ("limit: 0", "limit is at least 1"),
        ("max_failures: 2", "share from 0 to 1"),
        ("weights: [a]", "weights is a table"),
        ("weights: {resnet: x.pth}", "no model or codec of this plan"),
        ("similarity: [psnrr]", "did you mean 'psnr'"),
        ("codec: []", "at least one codec"),
        ("seed: -1", "seed is at least 0"),
        ("out: 2024-02-30", "not YAML"),
        ("no_labels: yes please", "true or false"),
        ("- a\n- b", "not a table"),
        ("a: [", "not YAML"),
        ("", "not a table"),
    ],
)
def test_a_wrong_plan_is_one_sentence(content: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=named) as told:
        read_plan(path)
    assert "\n" not in str(told.value)


def test_no_similarity_is_spelled_none_in_a_file_too() -> None:
    assert plan_from({"similarity": "none"}, "x").similarity == ()


def test_options_override_a_plan_file() -> None:
    plan = plan_from({"limit": 5}, "command line", Plan(limit=9, seed=3))
    assert (plan.limit, plan.seed) == (5, 3)


def test_results_go_to_a_folder_named_after_the_data(tmp_path: Path) -> None:
    assert Plan().folder == Path("runs/embedded")
    assert Plan(data=str(tmp_path)).folder == Path("runs") / tmp_path.name
    assert Plan(data="hf:a/b@c").folder == Path("runs/hf-a-b-c")
    assert Plan(out="there").folder == Path("there")
