"""Labels of one class that bear one other for no reason, in sets of too few classes to compare pairs with each other."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from untaint.numerics.lapses import lapses
from untaint.types import Labels, Mask, Probabilities, Rows

_HONEST = 0.002
"""Share of labels wrong for no reason that is tested against: about what carefully labelled tables show. Clean ones of two classes have
up to 0.04, so whether a share matters is for the effect to say."""
_LEAST = 1e-4  # probability
_MOST = 20_000  # rows that a curve is fitted to


class OneSided(NamedTuple):
    """Rows that look like `looks` and are labelled `label`: members, more likely than not, for no reason.

    share: of what looks so.  reverse: the same from label to looks.  p_value: of a share over an honest one, for all pairs.
    """

    looks: int
    label: int
    members: Rows
    share: float
    reverse: float
    p_value: float


def one_sided(probabilities: Probabilities, labels: Labels, single: Mask) -> Iterator[OneSided]:
    """Pairs of classes with more lapses one way than the other. single: (n,) bool, rows that count: copies once."""
    classes = probabilities.shape[1]
    logs, looks = np.log(np.maximum(np.nan_to_num(probabilities), _LEAST)), np.nan_to_num(probabilities).argmax(1)
    found = {}
    for a in range(classes):
        for b in set(range(classes)) - {a}:
            rows = np.flatnonzero((looks == a) & np.isin(labels, (a, b)))
            sureness, wrong = logs[rows, a] - logs[rows, b], labels[rows] == b
            asked = np.random.default_rng(len(rows)).permutation(np.flatnonzero(single[rows]))[:_MOST]
            best, honest = (lapses(sureness[asked], wrong[asked], share) for share in (None, _HONEST))
            ratio = 2 * (best.logarithm - honest.logarithm) if best.share > _HONEST else 0.0
            members = rows[wrong & (best.lapsed(sureness) > 0.5)]
            found[a, b] = best.share, float(chi2.sf(max(ratio, 0.0), 1)) / 2 if ratio > 0 else 1.0, members
    for (a, b), (share, p_value, members) in found.items():
        yield OneSided(a, b, members, share, found[b, a][0], min(1.0, p_value * classes * (classes - 1)))
