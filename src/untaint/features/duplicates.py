"""Near-copies: images so close to each other that nature does not explain it."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics import alignment, pictures, registration
from untaint.types import Labels, Pixels, Rows

_DIMENSIONS = 16  # only to find candidates; 24 find no more crowds and take twice as long
_NEIGHBOURS = 12
_SIDE = 28  # cells per side for fitting; at 14 the texture that tells two pullovers apart is gone
_BORDERS = (1 / 28, 1 / 7)
"""Shares of a side left out at each edge: the narrow one for images that fill the frame evenly, the wide one where a shift of
a tenth has pushed part of the object out."""
_SMALL = 14  # cells; a smaller image has no border to spare
_PAIR = 0.13
"""Misfit, as a share of the usual misfit to the twelfth neighbour, under which two images are near-copies on their own."""
_LEVELS = tuple(np.arange(_PAIR, 0.50, 0.04).tolist())
"""Misfits at which a crowd is looked for: a tight, sharp image's copies fit better than those of a large and smooth one."""
CROWD = 5
_APART = 1.3
_SPILL = 1.25
"""A crowd stands alone: at 1.3 times its misfit it has gathered at most a quarter more. Natural look-alikes (the ones of
MNIST) form a continuum instead: each level joins far more of them."""
_WIDER = 5.0
"""A wider crowd replaces those inside it only while it may be the same crowd in pieces: at most so many times as large."""
_SURPRISE = 0.01  # chance of a crowd above which it is none: a few of the sparse set's closest images
_LARGEST = 0.03
"""Share of the set: a whole class of simple shapes stands alone at some level, copies of one image are fewer."""


@final
@dataclass(frozen=True)
class NearCopies:
    """component: (n,) number of the cluster of near-copies a row belongs to, -1 = none or not usable.

    crowd: (n,) number of the crowd, -1 = none: five and more images that stand alone, though each be less close to the next.
    chance: (n,) probability of so long a chain of neighbours so close, at the rates of the rest of the set, anywhere in it; the
    same for all rows of a crowd, 1 where there is none.

    Only components are families: copies in the strict sense. A writer's ones may be a crowd and are still observations each.
    """

    component: np.ndarray
    crowd: np.ndarray
    chance: np.ndarray

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
    """Pairs of images far closer than is usual, and crowds that stand alone; small shifts and turns undone."""
    rows = np.flatnonzero(labels >= 0)
    component, crowd, chance = np.full(len(labels), -1), np.full(len(labels), -1), np.ones(len(labels))
    if len(rows) <= _NEIGHBOURS:
        return NearCopies(component, crowd, chance)
    settings.report_progress("looking for near-copies", 0, 2)
    points, small = _points(pixels, rows)
    neighbours = np.asarray(cKDTree(points).query(points, k=_NEIGHBOURS + 1, workers=-1)[1])[:, 1:]
    settings.report_progress("looking for near-copies", 1, 2)
    misfits = _misfits(small, neighbours)
    strict = _with_exact_copies(points, _joined(neighbours, misfits <= _PAIR))
    component[rows] = np.where(np.bincount(strict)[strict] > 1, strict, -1)
    crowd[rows], chance[rows] = _improbable(_crowds(neighbours, misfits, strict), misfits.min(1))
    settings.report_progress("looking for near-copies", 2, 2)
    return NearCopies(component, crowd, chance)


def _points(pixels: Pixels, rows: Rows, batch: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """(m, d) leading principal coordinates of centred, blurred, pooled images; and those images, grey and less pooled."""
    parts, small = [], []
    for start in range(0, len(rows), batch):
        images = pictures.blur(pictures.to_float(alignment.centred(pixels[rows[start : start + batch]])))
        side, fine = min(14, *images.shape[1:3]), min(_SIDE, *images.shape[1:3])
        parts.append(pictures.shrink(images, side, side).reshape(len(images), -1))
        grey = pictures.shrink(images.mean(-1, keepdims=True), fine, fine)[..., 0]
        small.append(np.round(grey * 255).astype(np.uint8))  # a quarter of the memory, and its rounding is far under any noise
    flat = np.concatenate(parts)
    flat -= flat.mean(0)
    _, vectors = np.linalg.eigh(flat.T @ flat)
    return np.asarray(flat @ vectors[:, -_DIMENSIONS:], dtype=np.float64), np.concatenate(small)


def _misfits(small: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(m, k) misfit as a share of the usual one to the last neighbour, the better of two borders.

    The last, not the nearest: where every image has a few honest copies, the nearest is one of them.
    """
    side = small.shape[1]
    borders = {round(side * share) for share in _BORDERS} if side >= _SMALL else {0}
    measured = []
    for border in sorted(borders):
        found = registration.misfit(small, neighbours, border)
        measured.append(found / max(float(np.median(found.max(1))), 1e-6))
    return np.asarray(np.min(measured, axis=0))


def _crowds(neighbours: np.ndarray, misfits: np.ndarray, strict: np.ndarray) -> np.ndarray:
    """(m,) crowd number of each row, -1 = none. strict: clusters of copies in the strict sense."""
    n = len(neighbours)
    size = np.bincount(strict)[strict]
    cluster, crowd = np.where(size >= CROWD, strict, -1), np.zeros(n, dtype=np.int64)
    for place, limit in enumerate(_LEVELS, 1):
        here, wider = _joined(neighbours, misfits <= limit), _joined(neighbours, misfits <= _APART * limit)
        size, spread = np.bincount(here)[here], np.bincount(wider)[wider]
        within = np.zeros(n, dtype=np.int64)
        np.maximum.at(within, here, crowd)
        alone = (size >= CROWD) & (spread <= _SPILL * size) & (size <= max(CROWD, _LARGEST * n))
        alone &= (within[here] == 0) | (size <= _WIDER * within[here])
        cluster, crowd = np.where(alone, place * n + here, cluster), np.where(alone, size, crowd)
    return cluster


def _improbable(cluster: np.ndarray, nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crowds renumbered and the chance of each by row; those that are no surprise are none.

    The chance of a chain of neighbours this close starting at any row: as many steps as members but one, the least close left
    out, each as probable as it is among the rows outside crowds to have a neighbour as close.
    """
    n = len(cluster)
    _, joined = np.unique(cluster, return_inverse=True)
    size = np.bincount(joined)
    usual = np.sort(nearest[cluster < 0])
    steps = np.log((np.searchsorted(usual, nearest, side="right") + 1) / (len(usual) + 1))
    widest = np.full(len(size), -np.inf)
    np.maximum.at(widest, joined, steps)
    chance = np.minimum(1.0, n * np.exp(np.bincount(joined, steps) - widest))[joined]
    kept = (cluster >= 0) & ((chance <= _SURPRISE) | (len(usual) == 0))
    return np.where(kept, joined, -1), np.where(kept, chance, 1.0)


def _joined(neighbours: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Number of the connected part each row is in."""
    n, k = neighbours.shape
    start = np.repeat(np.arange(n), k)[close.ravel()]
    edges = coo_matrix((np.ones(len(start)), (start, neighbours.ravel()[close.ravel()])), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def _with_exact_copies(points: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Clusters joined where points are equal: more copies than neighbours were asked for do not find each other."""
    _, same = np.unique(np.round(points, 5), axis=0, return_inverse=True)
    same = same.ravel() + numbers.max() + 1  # two kinds of nodes in one graph: clusters, and exact contents
    links = coo_matrix((np.ones(len(same)), (numbers, same)), shape=(int(same.max()) + 1,) * 2)
    return np.asarray(connected_components(links, directed=False)[1][numbers], dtype=np.int64)
