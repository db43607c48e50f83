"""Each published row is a plan that can be read, of codecs, models, scores and similarities that there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from mpq.codecs.base import parse_codec
from mpq.media import MEDIA
from mpq.plan import read_plan, to_yaml
from mpq.published import EXPERIMENTS
from mpq.published.differences import DIFFERENCES
from mpq.published.experiment import Experiment
from mpq.registry import models, tasks
from mpq.reproduction import Request
from mpq.reproduction.preparation import plan_of
from mpq.reproduction.trial import Trial

EVERY = pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda e: e.name)


def test_six_data_sets_and_seven_codecs() -> None:
    assert len(EXPERIMENTS) == 6
    assert len({name for e in EXPERIMENTS.values() for name in e.coders}) == 7
    assert sum(row.value is not None for e in EXPERIMENTS.values() for row in e.rows) == 84


def test_no_row_stands_there_twice() -> None:
    names = Counter((row.name, row.numbers.key) for e in EXPERIMENTS.values() for row in e.rows)
    assert max(names.values()) == 1


def test_differences_are_those_that_rows_have() -> None:
    used = {key for e in EXPERIMENTS.values() for row in e.rows for key in row.differences}
    assert used == set(DIFFERENCES)


@EVERY
def test_specs_are_known(experiment: Experiment) -> None:
    task = tasks.get(experiment.task)
    for coder in experiment.coders.values():
        (codec,) = parse_codec(coder.spec)
        assert codec.spec == coder.spec
        assert task.samples in codec.takes
    for spec in experiment.models.values():
        family, _, variant = spec.partition(":")
        assert models(experiment.task).get(family).variants and variant
    scores = {score.key for score in task.scores}
    similarities = MEDIA[task.samples].similarities
    for numbers in experiment.numbers:
        assert len(numbers.values) == 1 + len(experiment.coders)
        if numbers.kind == "score":
            assert numbers.key in scores and numbers.of in experiment.models
        else:
            assert not numbers.key or numbers.key in similarities


@EVERY
def test_the_plan_of_a_row(experiment: Experiment, tmp_path) -> None:
    request = Request(
        rows=(experiment.name,), data={experiment.name: "somewhere"}, limit=10**9, out=str(tmp_path)
    )
    trial = Trial(experiment, list(experiment.rows), lacking={"lpips": "", "cdpam": ""})
    plan = plan_of(trial, request)
    assert plan.task == experiment.task and plan.model == tuple(experiment.models.values())
    assert plan.codec == ("none", *(coder.spec for coder in experiment.coders.values()))
    assert plan.limit == experiment.samples
    file = tmp_path / "plan.yaml"
    file.write_text(to_yaml(plan))
    assert read_plan(file) == plan
    first = next(iter(experiment.coders))
    trial = replace(trial, rows=[row for row in experiment.rows if row.codec == first])
    assert plan_of(trial, request).codec == ("none", experiment.coders[first].spec)
