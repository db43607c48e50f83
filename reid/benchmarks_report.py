"""Benchmarks of re-identification put into words and tables."""

from __future__ import annotations

from dataclasses import asdict

from reid.benchmarks import Measured, Neighbors, SideBySide
from reports.content import Column, Section, Table

_MB = 1e6


def side_by_side_section(results: list[SideBySide], dimensions: int, rounds: int) -> Section:
    """``reid bench``: a band of rows a work, a row a size; the answer is that of the largest size with both."""
    rows, largest = [], dict[str, str]()
    for one in results:
        work, theirs = f"{one.work}", one.published
        gallery = one.samples - one.queries
        row = {
            "work": work,
            "samples": f"{one.samples:,}" if work == "NFC" else f"{one.queries:,} × {gallery:,}",
            "ours": _seconds(one.ours),
            "memory": f"{one.ours.extra / _MB:.0f}",
        }
        if theirs is not None and one.difference is not None:
            faster = theirs.seconds / one.ours.seconds
            row |= {
                "published": _seconds(theirs),
                "faster": f"{faster:.1f}",
                "published memory": f"{theirs.extra / _MB:.0f}",
                "share": f"{100 * one.ours.extra / theirs.extra:.0f} %" if theirs.extra else "",
                "difference": f"{one.difference:.0e}",
            }
            largest[work] = (
                f"{work} of {one.samples:,} {faster:.1f} times as fast in {row['share']} of the memory"
            )
        rows.append(row)
    columns = [
        Column("work", "what", right=False),
        Column("samples", "samples"),
        Column("published", "published, s"),
        Column("ours", "ours, s"),
        Column("faster", "× as fast"),
        Column("published memory", "published, + MB"),
        Column("memory", "ours, + MB"),
        Column("share", "of it", 1),
        Column("difference", "largest difference", 2),
    ]
    notes = [
        f"Seeded features of {dimensions} dimensions. Each number from a process of its own, "
        f"{'once' if rounds == 1 else f'the median of {rounds} rounds'}; the programs take turns. + MB: the peak beyond "
        "what input and libraries take.",
        "Published: the papers' programs with their loops and full tables, in float32, on the CPU. NFC: k1 = k2 = 2. "
        "Re-ranking: k1 = 50, k2 = 15, query × gallery; ours keeps all distances where they are compared, else a block "
        "of them at a time. Evaluation: distances, mAP, CMC and mINP, query × gallery.",
    ]
    answer = "; ".join(largest.values()) or "The published programs were not run at these sizes"
    return Section(
        "reid bench",
        f"{answer[0].upper()}{answer[1:]}.",
        Table(columns, rows, group="work"),
        notes=notes,
        data=[asdict(one) for one in results],
    )


def neighbors_section(result: Neighbors) -> Section:
    """``reid bench --device cuda``: how long faiss took for every sample's nearest others, and whether it was right."""
    where = (
        f"{result.gpus} GPU{'s' if result.gpus > 1 else ''} of which it used one"
        if result.gpus
        else "the CPU"
    )
    answer = (
        f"{result.samples:,} × {result.dimensions}: the 2 nearest others of every sample in "
        f"{result.measured.seconds:.1f} s with {result.measured.extra / _MB:.0f} MB more of the host's memory."
    )
    row = {
        "samples": f"{result.samples:,}",
        "dimensions": f"{result.dimensions}",
        "seconds": _seconds(result.measured),
        "memory": f"{result.measured.extra / _MB:.0f}",
        "equal": f"{100 * result.equal:.1f} % of {result.checked}",
    }
    columns = [
        Column("samples", "samples"),
        Column("dimensions", "dimensions"),
        Column("seconds", "s"),
        Column("memory", "+ MB"),
        Column("equal", "rows as blocked torch has them"),
    ]
    notes = [f"faiss's exact flat index, in parts, on {where}; candidates measured again on the CPU."]
    return Section(
        "reid bench, neighbours", answer, Table(columns, [row]), notes=notes, data=[asdict(result)]
    )


def _seconds(measured: Measured) -> str:
    return f"{measured.seconds:.2f}"
