"""Near-copies: images so close to each other that nature does not explain it."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics import alignment, pictures
from untaint.types import Labels, Pixels, Rows

_DIMENSIONS = 24
_NEIGHBOURS = 8
_CLOSE = 0.25
"""Share of the median nearest-neighbour distance. Jittered copies (shift of 2 pixels, noise of 8 grey levels) lie within it;
among 60,000 clean Fashion-MNIST images no five do. MNIST's ones do, which is why closeness alone accuses nobody."""


@final
@dataclass(frozen=True)
class NearCopies:
    """component: (n,) number of the cluster of near-copies a row belongs to, -1 = none or not usable.

    chance: share of rows that have a near-copy at all outside clusters of five and more: how often nature does it.
    """

    component: np.ndarray
    chance: float

    @property
    def family(self) -> np.ndarray:
        """(n,) number of the family each row belongs to: its cluster, or itself. Copies are one observation, not many."""
        alone = self.component < 0
        numbers = self.component.copy()
        numbers[alone] = self.component.max(initial=-1) + 1 + np.arange(int(alone.sum()))
        return np.asarray(np.unique(numbers, return_inverse=True)[1])

    @property
    def weights(self) -> np.ndarray:
        """(n,) one over the size of a row's family: the weights of a family sum to one."""
        family = self.family
        return np.asarray(1 / np.bincount(family)[family])

    def folds(self, count: int, seed: int) -> np.ndarray:
        """(n,) random fold numbers, a family never split: what is held out must have no copy among what is learned from."""
        family = self.family
        drawn = np.random.default_rng([seed, count]).integers(0, count, int(family.max(initial=0)) + 1)
        return np.asarray(drawn[family])

    @property
    def representatives(self) -> np.ndarray:
        """(n,) bool: the first row of each family."""
        chosen = np.zeros(len(self.component), bool)
        chosen[np.unique(self.family, return_index=True)[1]] = True
        return chosen


@feature(stored=True)
def near_copies(pixels: Pixels, labels: Labels, settings: Settings) -> NearCopies:
    """Connected clusters of images within a quarter of the usual nearest-neighbour distance, shifts of a few pixels undone."""
    rows = np.flatnonzero(labels >= 0)
    component = np.full(len(labels), -1, dtype=np.int64)
    if len(rows) <= _NEIGHBOURS:
        return NearCopies(component, 0.0)
    settings.report_progress("looking for near-copies", 0, 1)
    points = _points(pixels, rows)
    distances, neighbours = map(np.asarray, cKDTree(points).query(points, k=_NEIGHBOURS + 1, workers=-1))
    typical = _typical(distances[:, 1])
    close = distances[:, 1:] <= _CLOSE * typical
    start = np.repeat(np.arange(len(rows)), _NEIGHBOURS)[close.ravel()]
    edges = coo_matrix((np.ones(len(start)), (start, neighbours[:, 1:].ravel()[close.ravel()])), shape=(len(rows), len(rows)))
    _, numbers = connected_components(edges, directed=False)
    numbers = _with_exact_copies(points, numbers)
    size = np.bincount(numbers)[numbers]
    component[rows[size > 1]] = numbers[size > 1]
    settings.report_progress("looking for near-copies", 1, 1)
    return NearCopies(component, float(((size > 1) & (size < 5)).mean()))


def _points(pixels: Pixels, rows: Rows, batch: int = 4096) -> np.ndarray:
    """(m, d) leading principal coordinates of centred, blurred, pooled images."""
    parts = []
    for start in range(0, len(rows), batch):
        images = pictures.to_float(alignment.centred(pixels[rows[start : start + batch]]))
        side = min(14, *images.shape[1:3])
        parts.append(pictures.shrink(pictures.blur(images), side, side).reshape(len(images), -1))
    flat = np.concatenate(parts)
    flat -= flat.mean(0)
    _, vectors = np.linalg.eigh(flat.T @ flat)
    return np.asarray(flat @ vectors[:, -_DIMENSIONS:], dtype=np.float64)


def _typical(nearest: np.ndarray) -> float:
    """Median distance to the nearest other image, exact copies left out."""
    apart = nearest[nearest > 1e-6]
    return float(np.median(apart)) if len(apart) else 0.0


def _with_exact_copies(points: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Clusters joined where points are equal: more copies than neighbours were asked for do not find each other."""
    _, same = np.unique(np.round(points, 5), axis=0, return_inverse=True)
    same = same.ravel() + numbers.max() + 1  # two kinds of nodes in one graph: clusters, and exact contents
    links = coo_matrix((np.ones(len(same)), (numbers, same)), shape=(int(same.max()) + 1,) * 2)
    return connected_components(links, directed=False)[1][numbers]
