"""Which samples of an operating point lose, and how well each predictor foretells it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpq.correlation.statistics import Within, auroc, loss_correlation, mean_within
from mpq.correlation.study import UNKNOWN, Study, even
from mpq.summary import Group, Point
from reports.stats import Estimate


@dataclass(frozen=True, eq=False)
class Losses:
    """Within a study's points: losses, (samples,) each, and how each predictor ranks them, None where it cannot.

    found: the similarities first, the best on average foremost, the rate last.
    """

    study: Study
    losses: list[np.ndarray | None]
    found: dict[str, list[Within | None]]
    titles: dict[str, str]

    @property
    def statistic(self) -> str:
        return "AUROC" if self.study.group.score.binary else "Spearman"

    @property
    def lose(self) -> str:
        score = self.study.group.score
        if not score.binary:
            return f"lose {score.title}"
        return "change their answer" if score.fidelity else "lose their right answer"

    def mean(self, name: str) -> Within:
        return mean_within([part for part in self.found[name] if part])

    def less(self, one: str, other: str) -> Estimate:
        """The mean of one less that of another, over the points that have both."""
        pairs = zip(self.found[one], self.found.get(other, []), strict=False)
        both = [(a, b) for a, b in pairs if a and b]
        return mean_within([a for a, _ in both]).less(mean_within([b for _, b in both])) if both else UNKNOWN


def losses_of(study: Study) -> Losses | None:
    """None where nobody loses, or all lose the same."""
    group = study.group
    losses = [
        _loss(group, point) if each else None for point, each in zip(study.points, study.each, strict=True)
    ]
    of = auroc if group.score.binary else loss_correlation
    found: dict[str, list[Within | None]] = {}
    for name, sign in (*((m.column, m.sign) for m in study.measures), ("rate", 1)):
        pairs = zip(losses, study.each, strict=True)
        parts = [
            of(sign * each[name], loss) if loss is not None and name in each else None for loss, each in pairs
        ]
        if any(parts):
            found[name] = parts
    if not found.keys() - {"rate"}:
        return None
    means = {name: mean_within([part for part in parts if part]).value for name, parts in found.items()}
    order = sorted(found, key=lambda name: (name == "rate", -means[name]))
    titles = {m.column: m.title for m in study.measures} | {"rate": "log rate"}
    return Losses(study, losses, {name: found[name] for name in order}, titles)


def _loss(group: Group, point: Point) -> np.ndarray | None:
    """(samples,): of right and wrong 1 where a right answer was lost, 0 where it was kept, NaN where there was none;
    else by how much it is worse than on the original. None where the originals have no scores."""
    score, now = group.score, point.each[group.score.key]
    if score.fidelity:  # what the original's is by definition, or may be taken for
        before = np.ones(len(now)) if score.binary else np.zeros(len(now))
    elif group.baseline is None:
        return None
    else:
        before = group.baseline.each[score.key]
    if score.binary:
        return np.where((before == 1) & np.isfinite(now), 1 - now, np.nan)
    return even((now - before) if score.lower_is_better else (before - now))
