"""Texts that are there far more often than any text is usually repeated, always with one label.

Honest texts are repeated, too: forwarded, posted twice, read twice by a crawler, signed with the same lines. How often is a matter
of the set, so what stands out is measured against how often its other texts are repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import poisson

from untaint.features.repeats import Family
from untaint.types import Rows

LEAST_PURE = 0.9
"""Share of the copies with one label: ten copies of somebody's text with a label of one's own, and that text, make .91; honest
copies labelled by several people differ more often."""
_FEWEST = 10  # copies: honest texts are there up to five times among film reviews, 11 among tweets, 29 among mails
_TAIL = 2.0
"""Families of k copies are taken to become rarer by k to this power at least, as forwarded texts do; those of mails do by 2.1."""
_MANY = 10  # families: so many that all have one label by chance are rare, if labels are mixed


@final
@dataclass(frozen=True)
class Repeated:
    """Families of one label that stand out, largest first. least: copies of the smallest.  usual: copies of the largest other text.

    p_value: so many families so large, from how often the other texts are repeated.  alone: one such family would stand out.
    """

    families: tuple[Family, ...]
    label: int
    least: int
    usual: int
    p_value: float
    alone: bool

    @property
    def rows(self) -> Rows:
        """All copies, in order."""
        return np.sort(np.concatenate([family.rows for family in self.families]))


def repeated(found: Sequence[Family], significant: float) -> list[Repeated]:
    """What stands out, by label: from the size from which one family does, else from that at which all are most surprising together.

    significant: chance of one family at which it stands out by itself.
    """
    sizes = np.array([len(family.rows) for family in found])
    pure = np.array([family.pure >= LEAST_PURE for family in found], bool)
    levels = np.unique(sizes[pure & (sizes >= _FEWEST)]) if len(found) else np.empty(0, np.int64)
    if not len(levels):
        return []
    means = [_expected(sizes, pure, int(level)) for level in levels]
    chances = [float(poisson.sf((pure & (sizes >= level)).sum() - 1, mean)) for level, mean in zip(levels, means, strict=True)]
    single = [place for place, mean in enumerate(means) if poisson.sf(0, mean) * len(levels) <= significant]
    best = single[0] if single else int(np.argmin(chances))
    level, p_value = int(levels[best]), min(1.0, chances[best] * len(levels))
    large = [family for family, kept in zip(found, pure & (sizes >= level), strict=True) if kept]
    usual = int(max(sizes[~(pure & (sizes >= level))], default=1))
    by_label = {label: [family for family in large if family.label == label] for label in {family.label for family in large}}
    return [
        Repeated(tuple(mine), label, len(mine[-1].rows), usual, p_value, bool(single))
        for label, mine in sorted(by_label.items())
        if len(large) < _MANY or len(mine) >= LEAST_PURE * len(large)  # else everything is repeated, whatever its label
    ]


def _expected(sizes: np.ndarray, pure: np.ndarray, level: int) -> float:
    """Families of at least `level` copies to expect from the smaller ones, and those of several labels, which nobody made.

    Of n families of at least k copies, n (k / level)² have `level` and more: the fewest that any k below gives, one more each seen.
    """
    below = [2, *(size + 1 for size in np.unique(sizes[sizes < level - 1]).tolist())]  # the count is the same up to the next size
    smaller = [int(((sizes >= size) & (sizes < level)).sum()) for size in below]
    odds = [1 / (((level - 0.5) / (size - 0.5)) ** _TAIL - 1) for size in below]
    reach = [(each + 1) * odd for each, odd in zip(smaller, odds, strict=True)]
    return min(reach) + int(((sizes >= level) & ~pure).sum())
