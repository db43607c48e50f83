"""What there is: re-identification data sets and backbones."""

from __future__ import annotations

from rich.markup import escape

from reports.content import Column, Section, Table


def datasets_section() -> Section:
    from reid.datasets.base import registry

    rows = [
        {
            "name": name,
            "variants": escape(", ".join([*cls.variants, *([f"@1 … @{cls.splits}"] if cls.splits else [])])),
            "what": escape(cls.summary),
            "layout": escape(cls.layout),
            "counts": escape(cls.counts),
            "source": escape(cls.source),
        }
        for name, cls in sorted(registry.entries.items())
    ]
    columns = [
        Column("name", "data set", right=False),
        Column("variants", "variants, splits", 2, right=False),
        Column("what", "what it is", right=False),
        Column("layout", "what its folder holds", 1, right=False),
        Column("counts", "counts", 3, right=False),
        Column("source", "terms, and where it is had", 4, right=False),
    ]
    answer = (
        "Use one as NAME --root DIR, or NAME:VARIANT, the first being the default; NAME@2 takes the second split "
        "alone. demo needs no root."
    )
    return Section("Data sets", answer, Table(columns, rows))


def backbones_section() -> Section:
    from reid.backbones.base import registry

    rows = [
        {
            "name": escape(str(cls.variants or name)),
            "what": escape(cls.summary),
            "here": "[green]yes[/green]"
            if (why := cls.unavailable()) is None
            else f"[red]no:[/red] {escape(why)}",
        }
        for name, cls in sorted(registry.entries.items())
    ]
    columns = [
        Column("name", "backbone", right=False),
        Column("what", "what it is", right=False),
        Column("here", "usable here", right=False),
    ]
    return Section("Backbones", "Use one as --backbone NAME.", Table(columns, rows))
