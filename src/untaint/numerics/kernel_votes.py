"""What known points around a point vote for: kernel ridge regression on class codes, with one width taken from the data."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import solve

from untaint.types import Labels

_PENALTY = 1e-3
"""Ridge per point: labels of a few in a hundred points are wrong, and a vote should not bend to each."""
_SAMPLED = 300  # points whose distances say how wide the kernel is


@final
@dataclass(frozen=True)
class Votes:
    """points (n, d), gamma () of the kernel exp(-gamma |a - b|²), weights (n, k)."""

    points: np.ndarray
    gamma: np.ndarray
    weights: np.ndarray

    def __call__(self, asked: np.ndarray) -> np.ndarray:
        """Votes (m, k) for each class at points (m, d): about 1 for the class of the surroundings, 0 elsewhere; 1/k each far out."""
        return 1 / self.weights.shape[1] + np.exp(-self.gamma * _squared(asked, self.points)) @ self.weights


def votes(points: np.ndarray, labels: Labels, classes: int) -> Votes:
    """Learn from points (n, d) and their classes. The kernel falls to 1/e at the median distance between two points."""
    apart = _squared(points[:_SAMPLED], points[:_SAMPLED])
    wide = apart[apart > 1e-6 * max(float(apart.max()), 1e-30)]
    gamma = np.float32(1 / np.median(wide) if len(wide) else 1)
    kernel = np.exp(-gamma * _squared(points, points)).astype(np.float64)
    kernel[np.diag_indices(len(points))] += _PENALTY * len(points)
    weights = solve(kernel, np.eye(classes)[labels] - 1 / classes, assume_a="pos")
    return Votes(points.astype(np.float32), np.asarray(gamma), weights.astype(np.float32))


def outvoted(votes_for: np.ndarray, labels: Labels) -> np.ndarray:
    """How many more votes (n,) the best other class has than the one a point is said to be of."""
    rows = np.arange(len(labels))
    others = np.array(votes_for)
    others[rows, labels] = -np.inf
    return others.max(1) - votes_for[rows, labels]


def _squared(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.maximum((left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T, 0)
