"""What a report's columns are, for those who have never met them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from mpq.summary import Group
from reports.content import Column, Section, Table


def glossary_section(groups: Sequence[Group]) -> Section:
    """Each rate, score and similarity that the groups have, what it is, and which way is better."""
    said: dict[str, tuple[str, str]] = {}
    for group in groups:
        rate = group.rate
        said.setdefault(
            rate.title, (f"{rate.summary} of the originals, all of the bitstreams' bits", "lower")
        )
        for score in group.scores:
            better = "lower" if score.lower_is_better else "higher"
            said.setdefault(score.heading or score.title, (score.summary, better))
        measured = {column for point in group.points for column in point.similarity}
        for similarity in group.medium.similarities.values():
            if similarity.column in measured:
                said.setdefault(similarity.title, (similarity.summary, similarity.better))
    rows = [
        {"term": escape(term), "what": escape(_sentence(what)), "better": better}
        for term, (what, better) in said.items()
    ]
    columns = [
        Column("term", "column", right=False),
        Column("what", "what it is", right=False),
        Column("better", "better", right=False),
    ]
    answer = (
        "Of each setting: what it costs, what the model still gets right, and how alike it left the samples."
    )
    return Section("What the columns are", answer, Table(columns, rows))


def _sentence(summary: str) -> str:
    """With a capital, unless its first word has one of its own: mIoU."""
    first = summary.split(maxsplit=1)[0]
    return summary if first[1:] != first[1:].lower() else f"{summary[0].upper()}{summary[1:]}"
