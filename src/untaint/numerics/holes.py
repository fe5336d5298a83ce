"""What the rest of a table says of a ball of rows: kernel ridge regression from which the ball is taken out exactly.

Models that learn from other rows than the judged one learn the ball from its other half. Ridge regression need not learn again to
forget rows: what it says of them without them follows from what it says with them (Cook, Weisberg 1982, sec. 2.2, for one row).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax

from untaint.numerics.ridge import calibrated, fourier, one_hot
from untaint.types import Labels

_COSINES = 400  # of the kernel; more change little, and a table of few rows needs fewer
_ROWS_EACH = 4  # rows for each cosine, at least
_WIDTHS = (0.35, 0.6, 1.0)  # of the kernel, in usual distances of two rows
_PENALTIES = (0.1, 1.0, 10.0)
_PAIRS = 2000  # rows whose distance is the usual one


@final
@dataclass(frozen=True)
class Rest:
    """A fitted regression. design, solved: (n, p), what makes predictions of labels.  fitted, wanted: (n, k).  sharpness: of scores."""

    design: np.ndarray
    solved: np.ndarray
    fitted: np.ndarray
    wanted: np.ndarray
    sharpness: float

    def share(self, ball: np.ndarray, label: int) -> float:
        """Expected share of a label in a ball of rows, by all rows but these."""
        mutual = self.solved[ball] @ self.design[ball].T
        apart = np.eye(len(ball)) - mutual
        said = np.linalg.solve(apart, self.fitted[ball] - mutual @ self.wanted[ball])
        return float(softmax(self.sharpness * said, axis=1)[:, label].mean())


def rest(points: np.ndarray, labels: Labels, classes: int, rng: np.random.Generator) -> Rest:
    """Learn (n,) labels from (n, d) places, under the width and penalty that tell rows best which were left out one at a time."""
    some = rng.integers(len(points), size=(2, _PAIRS))
    usual = max(float(np.median(np.linalg.norm(points[some[0]] - points[some[1]], axis=1))), 1e-9)
    wanted, centred = one_hot(labels, classes).astype(np.float64), points - points.mean(0)
    found: list[tuple[float, Rest]] = []
    for width in _WIDTHS:
        kernel = fourier(points.shape[1], min(_COSINES, len(points) // _ROWS_EACH), 0.5 / (width * usual) ** 2, rng)
        waves = kernel(points.astype(np.float32)) * np.sqrt(points.shape[1] / 4)
        design = np.hstack([np.ones((len(points), 1)), centred, waves])
        values, vectors = eigh(design.T @ design)
        turned = design @ vectors
        for penalty in _PENALTIES:
            shrunk = turned / (np.maximum(values, 0) + penalty)
            fitted = shrunk @ (turned.T @ wanted)
            own = (shrunk * turned).sum(1, keepdims=True)
            without = (fitted - own * wanted) / np.maximum(1 - own, 1e-6)
            judge = Rest(turned, shrunk, fitted, wanted, calibrated(without, labels)[1])
            found.append((float(((without - wanted) ** 2).sum()), judge))
    return min(found, key=lambda each: each[0])[1]
