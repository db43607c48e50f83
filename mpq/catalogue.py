"""What there is: codecs, models, data sets and measures, and whether each can be used here and now."""

from __future__ import annotations

from rich.markup import escape

from mpq import registry
from mpq.codecs.base import KINDS, Codec
from mpq.media import MEDIA
from mpq.rows import FIRST, LAST
from mpq.weights.shelf import Item, items
from mpq.weights.sources import cached
from reports.content import Column, Section, Table


def codecs_section() -> Section:
    rows = []
    for name, cls in sorted(registry.codecs.entries.items()):
        rows.append({"name": name, "what": escape(cls.summary), "here": _standing(cls)})
        rows[-1]["takes"] = " and ".join(KINDS[kind] for kind in cls.takes)
        rows[-1]["parameters"] = escape(_parameters(cls))
        rows[-1]["ladder"] = cls.ladder
    columns = [
        Column("name", "codec", right=False),
        Column("takes", "codes", right=False),
        Column("parameters", "parameters (default)", right=False),
        Column("ladder", "ladder of the bare name", 1, right=False),
        Column("what", "what it is", 2, right=False),
        Column("here", "runs here", right=False),
    ]
    answer = "Use one as --codec NAME for its ladder, or --codec NAME:key=value,value for your own."
    return Section("Codecs", answer, Table(columns, rows))


def models_section() -> Section:
    rows = [
        {
            "task": task,
            "name": cls.variants or name,
            "what": escape(cls.summary),
            "here": _here(cls.unavailable()),
        }
        for task in sorted(registry.tasks.entries)
        for name, cls in sorted(registry.models(task).entries.items())
    ]
    answer = "Use one as --model NAME; again for more. Those of re-identification: reid backbones."
    return Section("Models", answer, Table(_columns("model"), rows, group="task"))


def weights_section() -> Section:
    """A line a codec and metric: how many of its files are here, and what they are."""
    groups: dict[str, list[Item]] = {}
    for item in items():
        metric = item.codec.values.get("metric", "mse")
        groups.setdefault(item.codec.name + ("" if metric == "mse" else f":metric={metric}"), []).append(item)
    rows = []
    for name, group in groups.items():
        here = [item for item in group if item.here]
        size = sum(item.path.stat().st_size for item in here) / 1e6
        where = group[0].url.rpartition("/")[0] or "ships with this suite"
        rows.append(
            {
                "name": name,
                "here": f"{len(here)} of {len(group)}" + (f", {size:.0f} MB" if here else ""),
                "where": escape(where),
                "licence": escape(group[0].licence),
            }
        )
    columns = [
        Column("name", "codec", right=False),
        Column("here", "here", right=False),
        Column("licence", "licence", 1, right=False),
        Column("where", "from", 2, right=False),
    ]
    answer = f"Downloads are kept in {cached('')}. mpq weights fetch CODEC gets some, --weights CODEC=FILE names your own."
    return Section("Weights of codecs", answer, Table(columns, rows))


def datasets_section() -> Section:
    rows = [
        {
            "task": task,
            "name": name,
            "what": escape(f"{cls.summary}: {cls.layout}" if cls.layout != name else cls.summary),
            "here": _here(cls.unavailable()),
        }
        for task in sorted(registry.tasks.entries)
        for name, cls in sorted(registry.datasets(task).entries.items())
    ]
    answer = (
        "Use one as --data FOLDER (its layout is recognised) or --data NAME:ARGUMENT. "
        "Those of re-identification: reid datasets."
    )
    return Section("Data sets", answer, Table(_columns("data set"), rows, group="task"))


def metrics_sections() -> list[Section]:
    columns = [
        Column("name", "name", right=False),
        Column("unit", "unit", right=False),
        Column("what", "what it is", right=False),
    ]
    types = [Column("of", "of", right=False), columns[0], Column("unit", "type", right=False), columns[2]]
    found = [task() for _, task in sorted(registry.tasks.entries.items())]
    scores = [
        {"name": score.key, "unit": score.unit, "what": f"{score.title}: {score.summary}", "task": task.name}
        for task in found
        for score in task.scores
    ]
    similarities = [
        {
            "of": KINDS[kind],
            "name": s.name,
            "unit": s.unit,
            "what": escape(s.summary),
            "here": _here(s.unavailable()),
        }
        for kind, medium in MEDIA.items()
        for s in medium.similarities.values()
    ]
    declared = [
        ("all", FIRST),
        *((KINDS[kind], (*m.fields, *m.similarity_fields)) for kind, m in MEDIA.items()),
        *((task.name, task.fields) for task in found),
        ("all", LAST),
    ]
    fields = [
        {"of": of, "name": f.name, "unit": f.type, "what": escape(f.doc)}
        for of, group in declared
        for f in group
    ]
    return [
        Section(
            "Scores",
            "Of a model's answers; always measured.",
            Table([Column("task", "task", right=False), *columns], scores, group="task"),
        ),
        Section(
            "Similarities",
            "Of an original and what was decoded; chosen with --similarity.",
            Table(
                [Column("of", "of", right=False), *columns, Column("here", "here", 1, right=False)],
                similarities,
                group="of",
            ),
        ),
        Section(
            "Rows", "The fields of RUN/cells/*.parquet, a row a sample.", Table(types, fields, group="of")
        ),
    ]


def _columns(kind: str) -> list[Column]:
    return [
        Column("task", "task", right=False),
        Column("name", kind, right=False),
        Column("what", "what it is", right=False),
        Column("here", "usable here", right=False),
    ]


def _parameters(cls: type[Codec]) -> str:
    ranges = {
        p.name: f"{p.low:g}–{p.high:g}"
        if p.low is not None and p.high is not None
        else "/".join(map(str, p.choices)) or "FILE"
        for p in cls.parameters
    }
    defaults = {p.name: f" ({p.default})" if p.default != "" else "" for p in cls.parameters}
    return ", ".join(f"{name} {ranges[name]}{defaults[name]}" for name in ranges)


def _standing(cls: type[Codec]) -> str:
    """Whether the bare name runs here, or what stands in for it."""
    if cls.unavailable() is None and (other := cls.instead()):
        return f"[yellow]as {escape(other[0])}[/yellow]"
    if cls.unavailable() is None and (lacking := cls.lacking()):
        return f"[yellow]{escape(lacking)}[/yellow]"
    return _here(cls.unavailable())


def _here(why_not: str | None) -> str:
    return "[green]yes[/green]" if why_not is None else f"[red]no:[/red] {escape(why_not)}"
