"""Two populations in one cloud of whitened points: look for the line along which they part."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.numerics import mixture

DIRECTIONS = 3  # leading directions tried from both ends: a trigger of half of a class is the first, of a tenth the second
_TOP = 0.15  # a population of 5 to 50 % is the larger part of the top 15 % once the line points at it
_RANKED = 3  # rounds that reseed by rank, before the two populations are told apart well enough to reseed by membership
_FITTED = 3  # rounds that reseed by membership; separation stands still after two
_PARTED = 2.5  # Ashman's D from which memberships are trusted as seeds; 2 is just bimodal
_BIMODAL = 2.0  # Ashman's D; a narrow and a wide population around one centre gain more than two apart, and are no split
_SURE = 0.9
_LEAST = 8  # seeds on each side
_MOST = 1500  # values a mixture is fitted on: its separation then has a standard error of about 3 %


@final
@dataclass(frozen=True)
class Split:
    """Held-out scores of every point along the line found, and the two populations on it. upper: (m,) membership 0..1."""

    scores: np.ndarray
    separation: float
    gain: float
    upper: np.ndarray


def best(points: np.ndarray, folds: np.ndarray, starts: list[np.ndarray], seed: int = 0) -> Split:
    """The split with the largest gain over all starts, of those with two peaks if there are any.

    points (m, d) whitened; folds (m,): scores come from other folds.
    starts: (m,) scores that may point at one of the populations; the leading directions of the cloud are tried as well.
    """
    centred = points - points.mean(0)
    lines = _leading(centred, np.random.default_rng(seed))
    tried = [*starts, *(sign * line for line in lines.T for sign in (1, -1))]
    return max((_climbed(centred, folds, start) for start in tried), key=lambda split: (split.separation >= _BIMODAL, split.gain))


def filtered(points: np.ndarray, upper: np.ndarray, lower: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """(m,) scores along (mean of upper - mean of lower) of the other folds, in robust standard units of the lower.

    All zero when there is no lower: equal points have no order.
    """
    scores = np.zeros(len(points), np.float32)
    for number in np.unique(folds):
        out = folds == number
        high, low = points[upper & ~out], points[lower & ~out]
        if len(high) and len(low):
            scores[out] = points[out] @ (high.mean(0) - low.mean(0))
    if not lower.any():
        return scores
    rest = scores[lower]
    centre = np.median(rest)
    standard: np.ndarray = (scores - centre) / max(1.4826 * float(np.median(np.abs(rest - centre))), 1e-9)
    return standard


def _climbed(points: np.ndarray, folds: np.ndarray, start: np.ndarray) -> Split:
    upper, lower = _by_rank(start)
    scores = start
    for _ in range(_RANKED):
        scores = filtered(points, upper, lower, folds)
        upper, lower = _by_rank(scores)
    found = _fitted(scores)
    for _ in range(_FITTED):
        if found.separation < _PARTED or min((found.upper > _SURE).sum(), (found.upper < 1 - _SURE).sum()) < _LEAST:
            break
        found = _fitted(filtered(points, found.upper > _SURE, found.upper < 1 - _SURE, folds))
    return found


def _by_rank(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return scores > np.quantile(scores, 1 - _TOP), scores < np.quantile(scores, 0.5)


def _fitted(scores: np.ndarray) -> Split:
    sample = scores[:: max(1, -(-len(scores) // _MOST))]
    fit = mixture.two_components(sample)
    return Split(scores, fit.separation, fit.gain, fit.membership(scores))


def _leading(centred: np.ndarray, rng: np.random.Generator, sweeps: int = 5) -> np.ndarray:
    """(m, DIRECTIONS) coordinates on the leading directions, by subspace iteration (Halko, Martinsson, Tropp 2011)."""
    basis = rng.standard_normal((centred.shape[1], DIRECTIONS + 4)).astype(np.float32)
    for _ in range(sweeps):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    left, values, _ = np.linalg.svd(centred @ basis, full_matrices=False)
    lines: np.ndarray = left[:, :DIRECTIONS] * values[:DIRECTIONS]
    return lines
