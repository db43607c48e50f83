"""What there is of a published experiment on this machine: data, models, codecs, similarities."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpq.errors import UserError
from mpq.paths import user_path
from mpq.published.experiment import Experiment
from mpq.registry import models, tasks
from mpq.reproduction.request import Request
from mpq.reproduction.trial import Setting, Trial

if TYPE_CHECKING:
    from mpq.datasets.base import Dataset
    from mpq.plan import Plan
    from mpq.tasks.base import Task


def prepare(request: Request, device: str = "cpu") -> list[Trial]:
    """A trial for each experiment that has rows of the request's. Raises UserError for what the user named and is wrong.

    Where no data is named nothing is loaded, and no hub is asked for more than whether it is there.
    """
    trials: dict[str, Trial] = {}
    for row in request.chosen:
        trials.setdefault(row.experiment.name, Trial(row.experiment, [])).rows.append(row)
    for trial in trials.values():
        if trial.experiment.name in request.data:
            _make_ready(trial, request, device)
        else:
            _look_around(trial, "no data is named")
    return list(trials.values())


def plan_of(trial: Trial, request: Request) -> Plan:
    """The sweep that a trial's rows are, of what it does not lack. ``request`` names its data."""
    from mpq.plan import Plan

    experiment = trial.experiment
    data, table = _with_table(experiment, request.data[experiment.name])
    model, codec = (
        {name: _spec(experiment, name, request) for name in names if name not in trial.lacking}
        for names in (trial.wanted_models, trial.wanted_codecs)
    )
    specs = {**model, **codec}
    return Plan(
        task=experiment.task,
        data=data,
        labels=table,
        model=tuple(model.values()),
        codec=("none", *codec.values()),
        weights={specs[name]: file for name, file in request.weights.items() if name in specs},
        similarity=tuple(n.key for n in trial.similarities if n.of not in trial.lacking),
        limit=experiment.samples if request.limit is None else min(request.limit, experiment.samples),
        seed=request.seed,
        out=str(user_path(request.out) / experiment.name),
    )


def _spec(experiment: Experiment, name: str, request: Request) -> str:
    own = experiment.models.get(name) or experiment.coders[name].spec
    return request.instead.get(name, own)


def _with_table(experiment: Experiment, data: str) -> tuple[str, str | None]:
    """The published clips of Common Voice are dev.tsv's, which a sweep does not take unless told."""
    folder = user_path(data)
    if experiment.task == "speech" and folder.is_dir():
        tables = [*folder.glob("dev.tsv"), *folder.glob("*/dev.tsv")]
        if len(tables) == 1:
            return f"commonvoice:{data}", str(tables[0])
    return data, None


def _make_ready(trial: Trial, request: Request, device: str) -> None:
    """Looks for codecs and models one by one, and prepares the sweep of those that are here."""
    from mpq.store import Store
    from mpq.sweep import Sweep

    experiment = trial.experiment
    task = tasks.get(experiment.task)()
    parts = {*experiment.models, *experiment.coders}
    trial.stand_ins = frozenset(name for name in request.instead if name in parts)
    _look_for_similarities(trial)
    plan = plan_of(trial, request)
    try:
        trial.unlike = unlike_published(experiment, task.read(plan))
    except UserError as error:
        if not plan.data.startswith("hf:"):
            raise
        _look_around(trial, str(error))
        return
    for name in (*trial.wanted_codecs, *trial.wanted_models):
        spec, file = _spec(experiment, name, request), request.weights.get(name)
        weights = user_path(file) if file else None
        try:
            if name in experiment.coders:
                trial.codecs[name] = _setting(spec, weights, task)
            else:
                trial.models[name] = task.load(spec, weights).name
        except UserError as error:
            if file or name in trial.stand_ins:  # not lacking but wrong: the user named it
                raise
            trial.lacking[name] = str(error)
    plan = plan_of(trial, request)
    if not trial.models:
        # A sweep has a model. Rates and similarities can be measured without one of the published.
        try:
            trial.rates_only = task.load(task.model, None).name
        except UserError:
            return
        plan = replace(plan, model=(task.model,), no_labels=True)
    trial.sweep = Sweep.prepare(plan, device)
    trial.store = Store(plan.folder)


def _setting(spec: str, weights: Path | None, task: Task) -> Setting:
    """What a codec's one setting is called in results. Raises UserError where it cannot run here."""
    from mpq.codecs.base import ready_codecs

    asked = ready_codecs([spec], {} if weights is None else {spec: weights}, kind=task.samples)
    if len(asked.codecs) != 1:
        raise UserError(f"'{spec}' is {len(asked.codecs)} settings; it takes the place of one")
    return asked.codecs[0].name, asked.codecs[0].setting


def _look_around(trial: Trial, why: str) -> None:
    """Without data, ``why`` being the reason: which weights are here, by looking where they would lie."""
    from mpq.weights.shelf import items

    experiment = trial.experiment
    trial.lacking[experiment.name] = why
    for name in trial.wanted_codecs:
        try:
            away = [item.url for item in items((experiment.coders[name].spec,)) if not item.here]
        except UserError:  # a codec that needs no weights
            continue
        if away:
            trial.lacking[name] = f"{away[0]} (not here)"
    for name in trial.wanted_models:
        if lacks := _model_lacks(experiment.task, experiment.models[name]):
            trial.lacking[name] = lacks
    _look_for_similarities(trial)


def _look_for_similarities(trial: Trial) -> None:
    for numbers in trial.similarities:
        if why := trial.medium.similarities[numbers.key].unavailable():
            trial.lacking[numbers.of] = why


def _model_lacks(task: str, spec: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    family, _, variant = spec.partition(":")
    if family != "hf":
        return models(task).get(family).unavailable()
    if isinstance(try_to_load_from_cache(variant, "model.safetensors"), str):
        return None
    return f"https://huggingface.co/{variant} (not here)"


def unlike_published(experiment: Experiment, dataset: Dataset) -> str | None:
    """Why a data set is not the published one, by the names and the number of its files; None where it may well be.

    dataset: all of it, before any samples are drawn.
    """
    data, count = experiment.data, len(dataset.sources)
    if dataset.name.startswith("hf:"):
        if not re.search(rf"{data.hub}@validation\b", dataset.name):
            return f"{dataset.name} is another data set of the hub"
    elif other := next((s.path for s in dataset.sources if not re.fullmatch(data.files, s.path.stem)), None):
        return f"it holds {other.name}, and {experiment.title} has no such names"
    if data.classes and set(dataset.classes) != set(data.classes):
        return f"its classes are not {', '.join(data.classes)}"
    if data.called and dataset.name != data.called:
        return f"'{dataset.name}' is not {data.called}"
    if data.whole and count != experiment.samples:
        return f"it has {count:,} samples, not {experiment.samples:,}"
    return None
