"""Nearest rows by comparing all with all, a block at a time: in more than a dozen dimensions trees compare nearly all as well, slowly."""

import numpy as np

_BLOCK = 256  # rows compared with all others at once
_DIGITS = 10  # of a squared distance that mean something: rows as far away as each other come in the order of their numbers


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
        near = np.sort(np.argpartition(apart, count - 1, axis=1)[:, :count], axis=1)
        far = np.round(np.take_along_axis(apart, near, axis=1), _DIGITS)
        found[start : start + _BLOCK] = np.take_along_axis(near, np.argsort(far, axis=1, kind="stable"), axis=1)
    return found
