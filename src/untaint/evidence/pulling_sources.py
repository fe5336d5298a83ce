"""Sources that sent too many of the rows that pull a model hardest, label by label, against what everybody else sends."""

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from scipy.stats import nbinom

from untaint.types import Labels, Mask

_PRIOR = 0.5  # of a count: what nobody else sent is rare, not impossible
_LEAST_ROWS = 10  # of a source that is tested
_SURE, _JOINED = 1e-3, 0.01  # corrected: the first source, and others that are joined to it
_FEWEST = 5  # rows among the hardest that a source must have sent
_UNEVEN = 0.3
"""Standard deviation of the sources' rates, by their mean, that is allowed for at least: those who differ most are not among the others
whose differences are measured. Of 180 sets of 8, 12 and 20 sources whose rates follow a lognormal law of as much, none names a source
that sent a tenth too many."""
_TOGETHER = 3
"""Sources that may send poison together, a third of all at most: each is compared with those beside them, for two that send it raise
what is expected of everybody and make the rest look uneven."""


class Pulling(NamedTuple):
    """sources: codes, the surest first.  p_value: of the surest, corrected for all.  hard, expected: of their rows together.

    share: of what they sent that is among the hardest beyond what is expected.
    """

    sources: tuple[int, ...]
    p_value: float
    hard: int
    expected: float
    share: float


def pulling(hard: Mask, labels: Labels, codes: np.ndarray) -> Pulling | None:
    """Sources with more of the hardest rows than the others' share of them, for each label, gives; None = no such source.

    hard: (n,) bool.  labels: (n,) codes.  codes: (n,) of sources, -1 = not known.
    """
    known = codes >= 0
    names, place = np.unique(codes[known], return_inverse=True)
    sent, counted = (np.zeros((len(names), int(labels.max()) + 1)) for _ in range(2))
    np.add.at(sent, (place, labels[known]), 1)
    np.add.at(counted, (place[hard[known]], labels[known][hard[known]]), 1)
    counts = _Counts(sent, counted)
    tested = np.flatnonzero((sent.sum(1) >= _LEAST_ROWS) & (counted.sum(1) >= _FEWEST))
    due = (sent * (counted.sum(0) / np.maximum(sent.sum(0), 1))).sum(1)
    unusual = ((counted.sum(1) - due) / np.sqrt(due + _PRIOR))[tested]
    ranked = tested[np.argsort(-unusual, kind="stable")]
    most = min(_TOGETHER, len(names) // 3, len(ranked))
    tests = int((sent.sum(1) >= _LEAST_ROWS).sum()) * max(1, most)
    best: list[tuple[float, int, float]] = []
    for count in range(1, most + 1):
        found = sorted((tests * chance, source, expected) for chance, source, expected in counts.compared(ranked[:count]))
        if not best or found[0][0] < best[0][0]:
            best = found
    if not best or best[0][0] > _SURE:
        return None
    guilty = [(source, expected) for chance, source, expected in best if chance <= _JOINED]
    places = [source for source, _ in guilty]
    seen, expected = int(counted[places].sum()), sum(expected for _, expected in guilty)
    return Pulling(tuple(names[places].tolist()), best[0][0], seen, expected, (seen - expected) / float(sent[places].sum()))


@final
@dataclass(frozen=True)
class _Counts:
    """sent, counted: (s, k) rows of each source and label, and those of them that are among the hardest."""

    sent: np.ndarray
    counted: np.ndarray

    def compared(self, few: np.ndarray) -> list[tuple[float, int, float]]:
        """For each of few sources the chance of so many, the source, and how many are expected from all but these few.

        Counts whose rates differ between sources, as much as those of the others do and by `_UNEVEN` at least (negative binomial).
        """
        others = np.setdiff1d(np.arange(len(self.sent)), few)
        sent, seen = self.sent[others].sum(0), float(self.counted[others].sum())
        rates = self.counted[others].sum(0) / np.maximum(sent, 1)
        expected = (self.sent * rates).sum(1) + _PRIOR * self.sent.sum(1) / max(float(sent.sum()), 1)
        observed = self.counted.sum(1)
        beyond = ((observed - expected) ** 2 - expected)[others].sum() / max(float((expected[others] ** 2).sum()), 1e-9)
        size = 1 / (max(_UNEVEN**2, float(beyond)) + 1 / (seen + _PRIOR))
        chances = nbinom.sf(observed[few] - 1, size, size / (size + expected[few]))
        return list(zip(chances.tolist(), few.tolist(), expected[few].tolist(), strict=True))
