"""Cross-fitted kernel ridge regression on random Fourier features, and what it says when some rows are taken out.

A Gaussian kernel approximated by D cosines (Rahimi and Recht 2007) turns kernel ridge into one D x D solve; sums of D x D
blocks per fold give out-of-fold predictions for the price of one pass, and taking a group of rows out costs only that group.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax

from untaint.types import Labels

_BATCH = 8192


@final
@dataclass(frozen=True)
class Fourier:
    """Random Fourier features of the kernel exp(-gamma |a-b|²). weights (d, D), phases (D,)."""

    weights: np.ndarray
    phases: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Features (m, D) of inputs (m, d)."""
        projected = inputs @ self.weights
        projected += self.phases
        np.cos(projected, out=projected)
        projected *= np.float32(np.sqrt(2 / len(self.phases)))
        return projected


def fourier(dimension: int, features: int, gamma: float, rng: np.random.Generator) -> Fourier:
    """Draw the features for inputs of one dimension."""
    weights = rng.standard_normal((dimension, features)).astype(np.float32) * np.float32(np.sqrt(2 * gamma))
    return Fourier(weights, rng.uniform(0, 2 * np.pi, features).astype(np.float32))


@final
@dataclass(frozen=True)
class Sums:
    """What ridge regression needs to know of some rows. gram (D, D), cross (D, k), n rows."""

    gram: np.ndarray
    cross: np.ndarray
    n: int

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.gram + other.gram, self.cross + other.cross, self.n + other.n)

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(self.gram - other.gram, self.cross - other.cross, self.n - other.n)

    def solve(self, penalty: float) -> np.ndarray:
        """Coefficients (D, k) with `penalty` times the mean squared feature size added to the diagonal."""
        gram = self.gram.astype(np.float64)
        ridge = penalty * max(self.n, 1) / len(gram)
        gram[np.diag_indices_from(gram)] += ridge
        solved: np.ndarray = cho_solve(cho_factor(gram, check_finite=False), self.cross, check_finite=False).astype(np.float32)
        return solved


def one_hot(labels: Labels, classes: int) -> np.ndarray:
    """(n, classes) float32, centred at chance so that an empty input predicts every class alike."""
    return np.eye(classes, dtype=np.float32)[labels] - np.float32(1 / classes)


def sums(features: Fourier, inputs: np.ndarray, labels: Labels, classes: int) -> Sums:
    """Sums over inputs (m, d), a batch at a time so that no m x D array needs to exist."""
    size = len(features.phases)
    total = Sums(np.zeros((size, size), np.float32), np.zeros((size, classes), np.float32), 0)
    for start in range(0, len(inputs), _BATCH):
        z = features(inputs[start : start + _BATCH])
        total = total + Sums(z.T @ z, z.T @ one_hot(labels[start : start + _BATCH], classes), len(z))
    return total


def cross_fit(
    features: Fourier, inputs: np.ndarray, labels: Labels, folds: np.ndarray, classes: int, penalty: float
) -> tuple[np.ndarray, Sums]:
    """Out-of-fold scores (m, classes) of inputs (m, d), and the sums over all of them. folds: (m,) fold numbers."""
    chosen = [folds == number for number in np.unique(folds)]
    parts = [sums(features, inputs[rows], labels[rows], classes) for rows in chosen]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    scores = np.empty((len(inputs), classes), np.float32)
    for rows, part in zip(chosen, parts, strict=True):
        coefficients = (total - part if len(chosen) > 1 else total).solve(penalty)
        scores[rows] = predict(features, inputs[rows], coefficients)
    return scores, total


def predict(features: Fourier, inputs: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Scores (m, k) of inputs (m, d)."""
    parts = [features(inputs[i : i + _BATCH]) @ coefficients for i in range(0, len(inputs), _BATCH)]
    return np.concatenate(parts) if parts else np.empty((0, coefficients.shape[1]), np.float32)


TEMPERATURES = (2.0, 4.0, 6.0, 8.0, 11.0, 16.0, 24.0)
"""Ridge scores lie near 0..1; these factors span nearly flat to nearly hard probabilities."""


def calibrated(scores: np.ndarray, labels: Labels) -> tuple[np.ndarray, float]:
    """Softmax of the scores at the temperature of least out-of-fold log loss, and that temperature."""
    own = np.arange(len(labels)), labels
    losses = {t: -np.log(softmax(t * scores, axis=1)[own].clip(1e-6)).mean() for t in TEMPERATURES}
    best = min(losses, key=losses.__getitem__)
    return softmax(best * scores, axis=1), best
