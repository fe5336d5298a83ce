"""Near-copies: images so close to each other that nature does not explain it."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics import alignment, pictures, principal, registration
from untaint.types import Labels, Pixels, Rows

_DIMENSIONS = 16  # only to find candidates; 24 find no more crowds and take twice as long
_NEIGHBOURS = 12
_BY_SPECTRUM = 6
"""More candidates by the size of Fourier coefficients, which no shift changes but what it pushes out: of copies of clothes moved
by up to two pixels, the twelve by centred images hold 75 % and these 18 over 98 % (5,000 images three times; photographs 95
and 99 %)."""
_WAVES = 8  # lowest frequencies kept each way
_SIDE = 28  # cells per side for fitting; at 14 the texture that tells two pullovers apart is gone
_BORDERS = (1 / 28, 1 / 7)
"""Shares of a side left out at each edge: the narrow one for images that fill the frame evenly, the wide one where a shift of
a tenth has pushed part of the object out."""
_SMALL = 14  # cells; a smaller image has no border to spare
_PAIR = 0.13
"""Misfit, as a share of the usual misfit to the twelfth neighbour, under which two images are near-copies on their own."""
_DIGITS = 3  # of a misfit that mean something: two pairs of equal images are equally close
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

    @cached_property
    def family(self) -> np.ndarray:
        """(n,) number of the family each row belongs to: its cluster, or itself. Copies are one observation, not many."""
        alone = self.component < 0
        if alone.all():
            return np.arange(len(alone))
        numbers = self.component.copy()
        numbers[alone] = self.component.max(initial=-1) + 1 + np.arange(int(alone.sum()))
        return np.asarray(np.unique(numbers, return_inverse=True)[1])

    @cached_property
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
        if (self.component < 0).all():
            return ~chosen
        chosen[np.unique(self.family, return_index=True)[1]] = True
        return chosen


@feature(stored=True, modality="image")
def near_copies(pixels: Pixels, labels: Labels, settings: Settings) -> NearCopies:
    """Pairs of images far closer than is usual, and crowds that stand alone; small shifts and turns undone."""
    rows = np.flatnonzero(labels >= 0)
    component, crowd, chance = np.full(len(labels), -1), np.full(len(labels), -1), np.ones(len(labels))
    if len(rows) <= _NEIGHBOURS:
        return NearCopies(component, crowd, chance)
    settings.report_progress("looking for near-copies", 0, 2)
    points, spectra, small, placed = _points(pixels, rows)
    neighbours = np.concatenate([_nearest(points, _NEIGHBOURS), _nearest(spectra, _BY_SPECTRUM)], axis=1)
    settings.report_progress("looking for near-copies", 1, 2)
    misfits = _misfits(small, placed, neighbours)
    strict = _with_exact_copies(points, _joined(neighbours, misfits <= _PAIR))
    component[rows] = np.where(np.bincount(strict)[strict] > 1, strict, -1)
    crowd[rows], chance[rows] = _improbable(_crowds(neighbours, misfits, strict), misfits.min(1))
    settings.report_progress("looking for near-copies", 2, 2)
    return NearCopies(component, crowd, chance)


def _points(pixels: Pixels, rows: Rows, batch: int = 4096) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two sets of (m, d) coordinates to find candidates in, and two of small grey images (m, h, w): centred, and as they are.

    The leading principal coordinates of centred, blurred, pooled images, and of the Fourier amplitudes of the images as they are.
    """
    parts, waves, small, placed = [], [], [], []
    for start in range(0, len(rows), batch):
        part = pixels[rows[start : start + batch]]
        images, as_they_are = (pictures.blur(pictures.to_float(each)) for each in (alignment.centred(part), part))
        side, fine = min(14, *images.shape[1:3]), min(_SIDE, *images.shape[1:3])
        parts.append(pictures.shrink(images, side, side).reshape(len(images), -1))
        grey, plain = (pictures.shrink(each.mean(-1, keepdims=True), fine, fine)[..., 0] for each in (images, as_they_are))
        small.append(np.round(grey * 255).astype(np.uint8))  # a quarter of the memory, and its rounding is far under any noise
        placed.append(np.round(plain * 255).astype(np.uint8))
        waves.append(_amplitudes(plain))
    points, spectra = (principal.leading(np.concatenate(each), _DIMENSIONS).astype(np.float64) for each in (parts, waves))
    return points, spectra, np.concatenate(small), np.concatenate(placed)


def _amplitudes(grey: np.ndarray) -> np.ndarray:
    """(m, d) square roots of the size of the low-frequency Fourier coefficients, but for the mean."""
    size = np.abs(np.fft.rfft2(grey - grey.mean((1, 2), keepdims=True)))
    rows = np.r_[: min(_WAVES, grey.shape[1]), max(_WAVES, grey.shape[1] - _WAVES + 1) : grey.shape[1]]
    return np.asarray(np.sqrt(size[:, rows, :_WAVES]).reshape(len(grey), -1), dtype=np.float32)


def _nearest(points: np.ndarray, count: int) -> np.ndarray:
    return np.asarray(cKDTree(points).query(points, k=count + 1, workers=-1)[1])[:, 1:]


def _misfits(small: np.ndarray, placed: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(m, k) misfit as a share of the usual one to the twelfth neighbour, the best of two borders and of whole-cell moves.

    The twelfth, not the nearest: where every image has a few honest copies, the nearest is one of them.
    """
    side = small.shape[1]
    narrow, wide = (round(side * share) if side >= _SMALL else 0 for share in _BORDERS)
    measured = [registration.misfit(small, neighbours, border) for border in sorted({narrow, wide})]
    if wide:
        measured.append(registration.misfit_moved(placed, neighbours, wide))
    usual = [max(float(np.median(found[:, :_NEIGHBOURS].max(1))), 1e-6) for found in measured]
    return np.round(np.min([found / scale for found, scale in zip(measured, usual, strict=True)], axis=0), _DIGITS)


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
