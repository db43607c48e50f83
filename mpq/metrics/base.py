"""What a similarity is: a measure of two samples that knows no task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


def _always() -> None:
    return None


@dataclass(frozen=True)
class Similarity:
    """A measure of an original and what was decoded from it, both samples of one size.

    name: as in ``--similarity``. column: in the rows. measure: None where it is not defined; infinite for equal samples
    where that is its limit. unit: and summary, with what it is not, for ``mpq metrics``. title, format, rank: of its
    column in tables. better: which way is more alike. packages: whose versions shape it. unavailable: why it
    cannot be measured here and now, in a sentence; None where it can.
    """

    name: str
    column: str
    measure: Callable[[Any, Any], float | None]
    unit: str
    summary: str
    title: str
    format: str = "{:.3f}"
    rank: int = 7
    better: Literal["higher", "lower"] = "higher"
    packages: tuple[str, ...] = ()
    unavailable: Callable[[], str | None] = _always
