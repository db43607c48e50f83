"""``mpq bench``."""

from __future__ import annotations

from typing import Annotated

import typer

from mpq.commands.options import numbers
from reports.printing import AsJson, show


def bench(
    data: Annotated[str, typer.Option(help="A folder or a data set's name.")] = "embedded",
    model: Annotated[
        list[str] | None, typer.Option(help="Models. [default: lite0 and lite2]", show_default=False)
    ] = None,
    codec: Annotated[
        str, typer.Option(help="Settings for the sweep; or a zoo codec, timed beside CompressAI.")
    ] = "jpeg:quality=5,20,50,80",
    samples: Annotated[
        int | None,
        typer.Option(
            help="Samples; the data set is repeated to fill them. [default: 96; 16 for a zoo codec]",
            min=1,
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes; 1 is this one. [default: one a core]", min=1, show_default=False),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Of which the median counts.", min=1)] = 3,
    growth: Annotated[
        str | None,
        typer.Option(
            help="Numbers of samples, such as 100,1000,10000: how time and memory grow with them.",
            show_default=False,
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Time this sweep, a plain loop and the models alone, side by side, as ratios; or a learned codec's coding."""
    from mpq.benchmarks.report import bench_section, coding_section, growth_section
    from mpq.codecs.zoo import ZooCodec
    from mpq.registry import codecs as registry

    form = "json" if json else None
    asked = tuple(model or ("efficientnet-lite0", "efficientnet-lite2"))
    if growth is not None:
        from mpq.benchmarks.growth import growth as grow

        show([growth_section(grow(data, asked, codec, numbers(growth, "--growth"), workers))], form)
        return
    if issubclass(registry.get(codec.partition(":")[0]), ZooCodec):
        from mpq.benchmarks.coding import coding_bench

        show([coding_section(coding_bench(codec, data, samples or 16, rounds))], form)
    else:
        from mpq.benchmarks.sweep import bench as run

        show([bench_section(run(data, asked, codec, samples or 96, workers, rounds))], form)
