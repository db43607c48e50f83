"""Benchmarks put into words and tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from mpq.wording import counted
from reports.content import Column, Section, Table

if TYPE_CHECKING:
    from mpq.benchmarks.coding import CodingBench, Times
    from mpq.benchmarks.growth import Growth
    from mpq.benchmarks.sweep import Bench


def bench_section(result: Bench) -> Section:
    """``mpq bench``: rates side by side, and the two ratios that matter."""
    rows = [
        {"what": name, "rate": f"{value:.1f}", "ratio": f"{result.sweep / value:.2f}"}
        for name, value in result.rates.items()
    ]
    columns = [
        Column("what", "what", right=False),
        Column("rate", "answers/s"),
        Column("ratio", "sweep / this"),
    ]
    answer = (
        f"The sweep gives {result.sweep:.1f} answers a second: {result.sweep / result.loop:.1f} times the plain loop, "
        f"{100 * result.sweep / result.models_threads:.0f} % of the models alone on ready tensors."
    )
    notes = [
        f"{result.described}. An answer is one model's on one decoded picture.",
        "Plain loop: for each model, setting and picture: read, encode, decode, a batch of one, torch's own "
        "threads. Models alone: ready tensors, no codec, no preprocessing; with torch's threads as they come, in "
        "processes frozen as the sweep has them.",
    ]
    return Section("mpq bench", answer, Table(columns, rows), notes=notes, data=[asdict(result)])


def growth_section(result: Growth) -> Section:
    """``mpq bench --growth``: a line a number of samples."""
    first, last = result.takes[0], result.takes[-1]
    rows = [
        {
            "samples": f"{take.samples:,}",
            "workers": str(take.workers),
            "rate": f"{take.answers / take.seconds:.1f}",
            "each": f"{1000 * take.seconds / take.samples:.0f}",
            "memory": "" if take.megabytes is None else f"{take.megabytes:,.0f}",
        }
        for take in (result.alone, *result.takes)
    ]
    columns = [
        Column("samples", "samples"),
        Column("workers", "processes"),
        Column("rate", "answers/s"),
        Column("each", "ms a sample"),
        Column("memory", "peak memory, MB"),
    ]
    answer = f"{counted(first.workers, 'core')} have {result.scaling:.2f} times the rate of one."
    if result.exponent is not None:
        answer += f" {last.samples / first.samples:,.0f} times the samples take {last.seconds / first.seconds:,.0f} times the time"
        if first.megabytes and last.megabytes:
            answer += f" and {last.megabytes - first.megabytes:+,.0f} MB of memory".replace("-", "−")
        answer += "."
    notes = [
        f"{result.described}. Rates are of the steady part; starting up is left out.",
        "Peak memory: of all processes together, what they share counted once.",
    ]
    data = [asdict(take) for take in (result.alone, *result.takes)]
    return Section("mpq bench --growth", answer, Table(columns, rows), notes=notes, data=data)


def coding_section(result: CodingBench) -> Section:
    """``mpq bench --codec mbt2018``: seconds side by side."""
    columns = [Column("what", "seconds, one thread", right=False)]
    rows: list[dict[str, str]] = [{"what": name} for name in _CODING_STEPS]
    for i, times in enumerate(result.times):
        width, height = times.size
        columns.append(Column(f"s{i}", f"{times.pictures} × {width}×{height}"))
        columns.append(Column(f"r{i}", "×"))
        for row, step in zip(rows, _CODING_STEPS.values(), strict=True):
            seconds = step(times)
            row[f"s{i}"], row[f"r{i}"] = f"{seconds:.2f}", f"{seconds / times.sweep:.2f}"
    many, one = result.times
    answer = (
        f"{many.speedup:.1f} times as fast as CompressAI on {many.pictures} pictures, {one.speedup:.1f} times on one; "
        f"{many.sweep / many.networks:.2f} times the networks alone; decoding alone {many.theirs_decode / many.decode:.1f} "
        f"times as fast. {result.identical} of {result.pictures} pictures have CompressAI's very streams, and CompressAI "
        f"decodes {result.decoded}."
    )
    notes = [
        f"{result.spec} with {result.weights}, {result.bpp:.2f} bpp, median of {result.rounds} rounds. ×: of the sweep's.",
        "Sweep: encoder and decoder as mpq sweep runs them (the encoder's own latents, guarded by real decodes of "
        "one picture in 32; the one large picture is none of them). Networks: analysis, hyper-analysis, hyper-synthesis, synthesis, and nothing else.",
    ]
    return Section("mpq bench", answer, Table(columns, rows), notes=notes, data=[asdict(result)])


_CODING_STEPS: dict[str, Callable[[Times], float]] = {
    "CompressAI, encode and decode": lambda t: t.theirs_encode + t.theirs_decode,
    "this suite, in a sweep": lambda t: t.sweep,
    "the networks alone": lambda t: t.networks,
    "CompressAI, encode": lambda t: t.theirs_encode,
    "this suite, encode": lambda t: t.encode,
    "CompressAI, decode": lambda t: t.theirs_decode,
    "this suite, decode": lambda t: t.decode,
}
