"""Nearest rows by comparing all with all, a block at a time: in more than a dozen dimensions trees compare nearly all as well, slowly."""

import numpy as np

_BLOCK = 256  # rows compared with all others at once
_DIGITS = 10  # of a squared distance that mean something: rows as far away as each other come in the order of their numbers
_PART = 8
"""Of every eighth distance the nearest show how far away the nearest of all are: an eighth of them is sorted, and few too many kept."""
_SPARE = 1.3  # times as many are kept as are asked for, and some more of a few


def nearest(points: np.ndarray, count: int) -> np.ndarray:
    """(m, count) the nearest of m points (m, d) to each, nearest first, itself and its equals at a distance of 0 among them."""
    points = np.ascontiguousarray(points - points.mean(0), np.float64)
    squares, found = (points**2).sum(1), np.empty((len(points), count), np.int64)
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        apart = block @ points.T
        apart *= -2
        apart += squares
        apart += squares[start : start + _BLOCK, None]
        for row, (far, bound) in enumerate(zip(apart, _bounds(apart, count), strict=True), start):
            near = np.flatnonzero(far <= bound)
            if len(near) < count:
                near = np.flatnonzero(far <= np.partition(far, count - 1)[count - 1] + 10.0**-_DIGITS)
            found[row] = near[np.argsort(np.round(far[near], _DIGITS), kind="stable")[:count]]
    return found


def _bounds(apart: np.ndarray, count: int) -> np.ndarray:
    """(b,) distances within which about a few more than `count` of all (b, m) lie; in a few rows it may be fewer."""
    place = int(_SPARE * count / _PART) + 20
    some = apart[:, ::_PART]
    if place >= some.shape[1] // 2:
        return np.full(len(apart), -np.inf)
    return np.asarray(np.partition(some, place, axis=1)[:, place])
