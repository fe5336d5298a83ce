"""A linear judge of columns in levels: what each level of each column says, added up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.linear_model import LogisticRegression

from untaint.numerics.logarithms import normalised
from untaint.types import Labels

_PENALTY = 0.3  # inverse strength: columns are many and say the same things
_STEPS = 200
_CHUNK = 16_384  # rows read at a time


@final
@dataclass(frozen=True)
class Additive:
    """base: (k,) scores before any column is read.  said: for each column (levels, k) what its levels add."""

    base: np.ndarray
    said: tuple[np.ndarray, ...]

    def logarithms(self, levels: np.ndarray) -> np.ndarray:
        """(n, k) float32 logarithms of the probability of every class."""
        scores = np.empty((len(levels), len(self.base)), np.float32)
        for first in range(0, len(levels), _CHUNK):
            rows = scores[first : first + _CHUNK]
            rows[:] = self.base
            for column, said in enumerate(self.said):
                rows += said[levels[first : first + _CHUNK, column]]
        return normalised(scores)


def additive(levels: np.ndarray, places: Sequence[np.ndarray], labels: Labels) -> Additive:
    """Learn classes 0 to k - 1, all of which must occur. places: for each column (levels, b) coordinates of each of its levels."""
    widths = np.cumsum([each.shape[1] for each in places])
    design = np.hstack([each[levels[:, column]] for column, each in enumerate(places)])
    model = LogisticRegression(C=_PENALTY, max_iter=_STEPS).fit(design, labels)
    slopes, base = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(slopes) == 1:  # two classes
        slopes, base = np.stack([-slopes[0] / 2, slopes[0] / 2]), np.array([-base[0] / 2, base[0] / 2])
    parts = np.split(slopes, widths[:-1], axis=1)
    said = tuple((each @ part.T).astype(np.float32) for each, part in zip(places, parts, strict=True))
    return Additive(base.astype(np.float32), said)
