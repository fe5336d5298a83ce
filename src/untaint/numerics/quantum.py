"""Quantum entropy scores: which points of a cloud stretch it, along however many lines they do."""

from dataclasses import dataclass
from typing import final

import numpy as np

_KEPT = 0.7
"""Share of a class that shapes the ellipsoid: an intruder of up to 30 % can be left out of it whole."""
_ROUNDS = 5  # of concentration; membership changes by under 1 % after three
_SHRUNK = 0.02  # towards the mean variance, so that no direction is divided by nothing


@final
@dataclass(frozen=True)
class Ellipsoid:
    """Where the bulk of a cloud lies. centre: (d,).  root: (d, d) inverse square root of its covariance."""

    centre: np.ndarray
    root: np.ndarray

    def whitened(self, points: np.ndarray) -> np.ndarray:
        """(n, d) points in which the bulk is a ball."""
        found: np.ndarray = (points - self.centre) @ self.root
        return found


def leading(points: np.ndarray, rank: int) -> np.ndarray:
    """(n, rank) coordinates of a cloud along its directions of largest variance, centred, in float64."""
    centred = np.asarray(points, np.float64) - points.mean(0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    found: np.ndarray = centred @ vectors[:, ::-1][:, :rank]
    return found


def bulk(points: np.ndarray) -> Ellipsoid:
    """Centre and shape of the most concentrated part of a cloud, by concentration steps from the whole (Rousseeuw, Van Driessen 1999).

    Its size is that of the part, so all points together are larger; shapes compare, sizes do not.
    """
    kept = np.arange(len(points))
    for _ in range(_ROUNDS):
        found = _ellipsoid(points[kept])
        far = (found.whitened(points) ** 2).sum(1)
        kept = np.argsort(far, kind="stable")[: max(int(_KEPT * len(points)), points.shape[1] + 1)]
    return _ellipsoid(points[kept])


def _ellipsoid(points: np.ndarray) -> Ellipsoid:
    centre = points.mean(0)
    covariance = np.atleast_2d(np.cov(points, rowvar=False, bias=True))
    mean = max(float(np.trace(covariance)) / len(covariance), 1e-12)
    values, vectors = np.linalg.eigh((1 - _SHRUNK) * covariance + _SHRUNK * mean * np.eye(len(covariance)))
    return Ellipsoid(centre, (vectors / np.sqrt(values)) @ vectors.T)


def scores(whitened: np.ndarray, alpha: float = 4.0) -> np.ndarray:
    """(n,) quantum entropy score of every point (Hayase et al. 2021, eq. 1): x' Q x / tr Q, Q = exp(alpha (S - I) / (|S| - 1)).

    S is the covariance of all points in coordinates in which the bulk is a ball, scaled so that its median direction has variance one:
    what is left out of the bulk makes S larger everywhere, and only differences say something.
    alpha: how much more directions of large variance count, 0 = all alike, infinite = the first alone; 4 is the paper's (sec. 4.2).
    """
    values, vectors = np.linalg.eigh(whitened.T @ whitened / len(whitened))
    values = values / max(float(np.median(values)), 1e-12)
    excess = values - 1
    weights = np.exp(alpha * (excess - excess.max()) / max(float(np.abs(excess).max()), 1e-12))
    found: np.ndarray = ((whitened @ vectors) ** 2) @ weights / weights.sum()
    return found
