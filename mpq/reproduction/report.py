"""``mpq reproduce`` put into words and tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.markup import escape

from mpq.published.differences import DIFFERENCES
from mpq.published.experiment import Experiment, Row
from mpq.reproduction.trial import Compared, Trial
from mpq.wording import counted, decibels, percent, rate, signed
from reports.content import Column, Section, Table
from reports.stats import Estimate, clopper_pearson

YES, NO = "[green]yes[/green]", "[yellow]no[/yellow]"


def reproduction_sections(trials: list[Trial]) -> list[Section]:
    """What there is, what is missing, and each experiment's numbers beside ours."""
    compared = [(trial, trial.compared()) for trial in trials]
    missing = _missing(trials)
    return [
        _overview(compared),
        *([missing] if missing.table.rows else []),
        *(_experiment(trial, rows) for trial, rows in compared),
    ]


def _overview(compared: list[tuple[Trial, list[Compared]]]) -> Section:
    table, every = [], []
    for trial, rows in compared:
        rows = [c for c in rows if c.row.value is not None]
        every += rows
        held = [c for c in rows if c.inside is not None]
        owed = [c for c in held if c.row.comparable]
        table.append(
            {
                "experiment": trial.experiment.name,
                "what": f"{trial.experiment.title}, {counted(trial.experiment.samples, 'sample')}",
                "published": str(len(rows)),
                "measured": str(sum(c.ours is not None and not c.own for c in rows)),
                "owed": str(len(owed)),
                "inside": str(sum(bool(c.inside) for c in owed)),
            }
        )
    columns = [
        Column("experiment", "experiment", right=False),
        Column("what", "data", 3, right=False),
        Column("published", "published"),
        Column("measured", "measured"),
        Column("owed", "comparable"),
        Column("inside", "agree"),
    ]
    here = sum(c.ours is not None and not c.own for c in every)
    elsewhere = sum(c.ours is not None and c.own for c in every)
    owed = [c for c in every if c.inside is not None and c.row.comparable]
    answer = (
        f"{here} of {counted(len(every), 'published number')} {'was' if here == 1 else 'were'} measured here, "
        f"{len(owed)} of them as the same quantity: {_inside(owed)} in our 95 % intervals."
        if here
        else f"None of the {len(every)} published numbers could be measured here."
        if len(every) != 1
        else "The published number could not be measured here."
    )
    if elsewhere == 1:
        answer += " 1 was measured of other data, model or codec, and is held against itself alone."
    elif elsewhere:
        answer += f" {elsewhere} were measured of other data, models or codecs, and are held against themselves alone."
    data = [{k: v if k in ("experiment", "what") else int(v) for k, v in line.items()} for line in table]
    notes = [
        "Jacobellis, Cummings and Yadwadkar 2024, arXiv 2401.07957, as github.com/danjacobellis/MPQ prints it. One setting "
        "a codec and no intervals there: a published share of right answers has those of its own samples, in --json.",
        "Comparable: of the same quantity on the same data. Agree: lie in our 95 % intervals.",
    ]
    title = "The published experiment, made again"
    return Section(title, answer, Table(columns, table), notes=notes, data=data)


def _inside(owed: list[Compared]) -> str:
    """``3 of these lie``"""
    count = sum(bool(c.inside) for c in owed)
    return f"{count} of these lie{'s' * (count == 1)}"


def _missing(trials: list[Trial]) -> Section:
    """One line for each thing that is missing, whatever it is missing for."""
    lines: dict[str, dict[str, str]] = {}
    for trial in trials:
        experiment = trial.experiment
        for name, why in trial.lacking.items():
            line = lines.setdefault(name, _where(experiment, name, why))
            line["of"] = ", ".join(dict.fromkeys([*filter(None, line["of"].split(", ")), experiment.name]))
    columns = [
        Column("what", "missing", right=False),
        Column("of", "for", 2, right=False),
        Column("where", "where it is had", right=False),
        Column("option", "how it is named", right=False),
    ]
    data = [{"missing": line["what"], "for": line["of"], "why": line["why"]} for line in lines.values()]
    answer = "The data is here. Most weights are fetched where a network is there; any can be named."
    if not all(trial.has_data for trial in trials):
        answer = "Data must be named. Most weights are fetched once it is, where a network is there."
    rows = [{key: escape(value) for key, value in line.items()} for line in lines.values()]
    return Section("What is missing", answer, Table(columns, rows), data=data)


def _where(experiment: Experiment, name: str, why: str) -> dict[str, str]:
    line = {"what": name, "of": "", "where": why, "option": "", "why": why}
    if name == experiment.name:
        line |= {"what": f"{name}, data", "where": experiment.data.where, "option": experiment.data.option}
    elif name in experiment.models:
        line |= {"what": f"{name}, {experiment.models[name]}", "option": f"--weights {name}=DIR or FILE"}
    elif name in experiment.coders:
        line |= {"what": f"{name}, {experiment.coders[name].spec}", "option": f"--weights {name}=FILE"}
    return line


def _experiment(trial: Trial, compared: list[Compared]) -> Section:
    experiment = trial.experiment
    used = dict.fromkeys(key for c in compared if not c.own for key in c.row.differences)
    letters = {key: chr(ord("a") + i) for i, key in enumerate(used)}
    unit = trial.medium.rate.title
    columns = [
        Column("of", "model", right=False),
        Column("codec", "codec", right=False),
        Column("score", "score", right=False),
        Column("published", "published"),
        Column("ours", "ours (95 %)"),
        Column("change", "change (95 %)", 3),
        Column("inside", "inside", 1),
        Column("printed", "printed rate"),
        Column("corrected", f"corrected {unit}"),
        Column("rate", f"ours {unit} (95 %)", 2),
        Column("differs", "differs", 1),
    ]
    rows = [_row(trial, c, letters) for c in compared]
    columns = [c for c in columns if any(row.get(c.key) for row in rows)]
    samples = max((c.samples for c in compared), default=0)
    title = f"{experiment.title} · {experiment.task} · {counted(experiment.samples, 'sample')} published"
    return Section(
        title + (f", {samples:,} here" if samples else ""),
        _answer(trial, compared),
        Table(columns, rows, group="band"),
        notes=_notes(trial, compared, letters),
        data=[_data(trial, c) for c in compared],
    )


def _answer(trial: Trial, compared: list[Compared]) -> str:
    experiment = trial.experiment
    if not trial.has_data:
        why = trial.lacking[experiment.name]
        return f"Not measured: {why}. {experiment.data.where}: {experiment.data.option}."
    if trial.sweep is None:
        return f"Not measured: {next(iter(trial.lacking.values()), 'there is no model')}."
    name = trial.sweep.dataset.name
    if trial.unlike is not None:
        return (
            f"'{name}' is not the published data: {trial.unlike}. Nothing here is compared with what is published; "
            "change is against ours without a codec."
        )
    owed = [c for c in compared if c.inside is not None and c.row.comparable]
    inside = sum(bool(c.inside) for c in owed)
    lie = "lies" if inside == 1 else "lie"
    rates = {c.row.codec: c.rate_inside for c in compared if c.rate_inside is not None}
    answer = (
        f"{inside} of {counted(len(owed), 'published number')} of the same quantity {lie} in our intervals"
    )
    if rates:
        answer += f", and {sum(rates.values())} of {counted(len(rates), 'rate')}, corrected where wrong"
    return answer + "."


def _row(trial: Trial, compared: Compared, letters: dict[str, str]) -> dict[str, str]:
    row, numbers = compared.row, compared.row.numbers
    coder = trial.experiment.coders.get(row.codec)
    line = {
        "band": f"{numbers.of} {numbers.key}",
        "of": numbers.of if numbers.kind == "score" else "",
        "codec": coder.title if coder else "none",
        "score": numbers.title,
        "ours": _shown(row, compared.ours) if compared.ours else escape(compared.why),
        "change": signed(compared.change, _scale(row)) if compared.change else "",
        "rate": _rate(compared.rate),
    }
    if compared.own:
        for key, name in (("of", numbers.of), ("codec", row.codec)):
            if name in trial.stand_ins and name in (trial.models | trial.codecs):
                line[key] = escape(trial.models.get(name) or ":".join(filter(None, trial.codecs[name])))
        return line
    if row.value is not None:
        line["published"] = _shown(row, Estimate(row.value))
    if row.rate is not None and row.corrected is not None:
        line |= {"printed": rate(row.rate), "corrected": rate(row.corrected)}
    if compared.inside is not None:
        line["inside"] = YES if compared.inside else NO
    line["differs"] = " ".join(sorted(letters[key] for key in row.differences))
    return line


def _scale(row: Row) -> int:
    return 1 if row.numbers.kind != "score" or row.numbers.key == "sdr" else 100


def _shown(row: Row, estimate: Estimate) -> str:
    return decibels(estimate) if _scale(row) == 1 else percent(estimate)


def _rate(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return rate(estimate.value)
    return f"{rate(estimate.value)} ({rate(estimate.low)}–{rate(estimate.high)})"


def _notes(trial: Trial, compared: list[Compared], letters: dict[str, str]) -> list[str]:
    experiment = trial.experiment
    notes = [f"{letter}: {DIFFERENCES[key].sentence}" for key, letter in letters.items()]
    if any(not c.own for c in compared):
        places = dict.fromkeys(str(c.row.numbers.place) for c in compared if c.row.value is not None)
        unit = "bits (HiFiC: bytes) a pixel" if trial.medium.kind == "image" else "bits a sample"
        notes.append(f"Published: {experiment.data.which}. Printed: {unit}, the mean over samples.")
        notes.append(f"Where: {'; '.join([*places, f'rates: {experiment.rates_place}'])}.")
    if trial.sweep is not None:
        notes += [*trial.sweep.notes, *trial.sweep.dataset.problems]
        notes.append(
            "Ours: intervals by bootstrap over samples; rates of whole bitstreams, the mean over samples."
        )
    if trial.rates_only:
        notes.append(
            f"No published model is here: {trial.rates_only} ran for the sake of rates and similarities."
        )
    return notes


def _data(trial: Trial, compared: Compared) -> dict[str, Any]:
    row, experiment = compared.row, trial.experiment
    coder = experiment.coders.get(row.codec)

    def estimate(value: Estimate | None) -> dict[str, Any] | None:
        return None if value is None else asdict(value)

    return {
        "row": row.name,
        "score": row.numbers.title,
        "model": experiment.models.get(row.numbers.of),
        "codec": coder.spec if coder else "none",
        "published": row.value,
        "published_interval": _interval(row),
        "published_samples": row.samples,
        "place": str(row.numbers.place),
        "printed_rate": row.rate,
        "printed_counts": coder.counting if coder else None,
        "corrected_rate": row.corrected,
        "rate_unit": trial.medium.rate.key,
        "samples": compared.samples,
        "ours": estimate(compared.ours),
        "change": estimate(compared.change),
        "rate": estimate(compared.rate),
        "inside": compared.inside,
        "rate_inside": compared.rate_inside,
        "same_quantity": row.comparable,
        "differences": {key: DIFFERENCES[key].sentence for key in row.differences},
        "published_data": None if trial.sweep is None else trial.unlike is None,
        "stand_in": not trial.stand_ins.isdisjoint((row.codec, row.numbers.of)),
        "why_not": compared.why or None,
    }


def _interval(row: Row) -> tuple[float, float] | None:
    """Of a share of right answers, from the published samples alone."""
    if row.value is None or row.numbers.key != "top1":
        return None
    return clopper_pearson(round(row.value * row.samples), row.samples)
