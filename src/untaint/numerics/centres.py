"""Class centres under one shrunk covariance: how far a point is from each class, in units of the scatter within classes."""

from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.covariance import ledoit_wolf

from untaint.types import Labels

_MOST = 96
"""Directions kept: a thousand references tell the scatter along a hundred, and each costs time on every input."""
_LEAST = 1e-8
"""Scatter along a direction, as a share of the largest, under which the direction counts as flat."""


@final
@dataclass(frozen=True)
class Centres:
    """origin (d,), whitener (d, r): points minus origin, times it, have unit scatter.  places (k, r): class centres, NaN = never seen."""

    origin: np.ndarray
    whitener: np.ndarray
    places: np.ndarray

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances (n, k) of points (n, d); infinite for a class that was never seen."""
        white = (points - self.origin) @ self.whitener
        unseen = np.isnan(self.places[:, 0])
        places = np.where(unseen[:, None], 0, self.places)
        found = (white**2).sum(1)[:, None] - 2 * (white @ places.T) + (places**2).sum(1)
        found[:, unseen] = np.inf
        return np.maximum(found, 0)


def centres(points: np.ndarray, labels: Labels, classes: int, most: int = _MOST) -> Centres:
    """Centres of the classes of some points (n, d), and the scatter around them (Ledoit and Wolf 2004), in float32.

    Points that differ nowhere have one flat direction, along which everything is 0 away.
    """
    origin = points.mean(0)
    basis = _directions(points - origin, most)
    flat = (points - origin) @ basis
    places, scatter = np.full((classes, flat.shape[1]), np.nan), np.array(flat, np.float64)
    present = np.unique(labels)
    for code in present:
        places[code] = flat[labels == code].mean(0)
        scatter[labels == code] -= places[code]
    covariance = ledoit_wolf(scatter, assume_centered=True)[0] * (len(flat) / max(len(flat) - len(present), 1))
    spread, directions = np.linalg.eigh(covariance)
    kept = spread > max(spread[-1] * _LEAST, np.finfo(np.float32).tiny)
    if not kept.any():
        kept[-1], spread, directions = True, np.ones_like(spread), np.zeros_like(directions)
    whitener = directions[:, kept] / np.sqrt(spread[kept])
    return Centres(origin.astype(np.float32), (basis @ whitener).astype(np.float32), (places @ whitener).astype(np.float32))


def _directions(centred: np.ndarray, most: int) -> np.ndarray:
    """Basis (d, r) of the `most` directions of most variance; all where there are no more."""
    if centred.shape[1] <= most:
        return np.eye(centred.shape[1])
    if centred.shape[1] <= len(centred):
        return np.linalg.eigh(centred.T @ centred)[1][:, -most:]
    sizes, sides = np.linalg.eigh(centred @ centred.T)  # the smaller matrix has the same directions, seen from the points
    kept = sizes > max(sizes[-1] * _LEAST, np.finfo(np.float32).tiny)
    kept[:-most] = False
    found = centred.T @ (sides[:, kept] / np.sqrt(sizes[kept]))
    return found if kept.any() else np.eye(centred.shape[1], 1)


def own_and_margin(distances: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each point to the class it is said to be of, and how much farther that is than the nearest other class.

    Both NaN where the class was never seen; the margin is 0 where there is no other.
    """
    rows = np.arange(len(labels))
    own = distances[rows, labels]
    own = np.where(np.isfinite(own), own, np.nan)
    others = np.array(distances)
    others[rows, labels] = np.inf
    nearest = others.min(1)
    return own, np.where(np.isnan(own), np.nan, np.where(np.isfinite(nearest), own - nearest, 0))
