"""What a recogniser heard, held against what was said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mpq.gallery.recoding import Material
from mpq.metrics.transcripts import edits, normalised
from mpq.summary import Point
from reports.content import Mark, Stretch

_MARKS: dict[str, Mark] = {"equal": "same", "substitute": "wrong", "delete": "missing", "insert": "extra"}


class Transcripts:
    """A group's, normalised as its errors were counted. Raises Gone where the model cannot tell its language.

    note: what the marks mean.
    """

    def __init__(self, material: Material) -> None:
        self.material = material
        self.language = material.model.language
        self.own = material.group.score.fidelity
        against = "what was heard in the original" if self.own else "what was said"
        self.note = (
            f"Struck out: words of {against} that were not heard; underlined: words that were heard and are not its. "
            "Both texts are normalised as for the error rate: no case, no punctuation."
        )

    def reference(self, sample: int) -> str:
        """What was said; where that is not known, what was heard in the original. As it is written."""
        row = self.material.row(self.material.baseline, sample)
        return row["hypothesis"] if self.own or row["reference"] is None else row["reference"]

    def heard(self, point: Point, sample: int) -> list[Stretch]:
        said = normalised(self.reference(sample), self.language)
        heard = normalised(self.material.row(point, sample)["hypothesis"], self.language)
        return [
            Stretch(_MARKS[edit.kind], " ".join(edit.reference), " ".join(edit.hypothesis))
            for edit in edits(said, heard)
        ]

    @staticmethod
    def counted(words: Sequence[Stretch]) -> str:
        """``3 errors in 12 words``: words missed, taken for others, or added."""
        counts = Counter[Mark]()
        for stretch in words:
            counts[stretch.mark] += len((stretch.said or stretch.heard).split())
        length = counts["same"] + counts["wrong"] + counts["missing"]
        errors = counts["wrong"] + counts["missing"] + counts["extra"]
        return (
            f"{errors or 'no'} error{'' if errors == 1 else 's'} in {length} word{'' if length == 1 else 's'}"
        )
