"""3x3 patch codes: the grey levels of a patch as one number, counted over a whole set."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

LEVELS = 4
SIDE = 3
CODES = LEVELS ** (SIDE * SIDE)


@final
@dataclass(frozen=True)
class Counts:
    """How often each of some codes occurs, how many of its bearers have a property, and how many were expected to."""

    codes: np.ndarray
    bearers: np.ndarray
    hits: np.ndarray
    expected: np.ndarray


def code_map(levels: np.ndarray) -> np.ndarray:
    """Codes of every 3x3 patch of (n, h, w) grey levels: (n, h-2, w-2) int32."""
    height, width = levels.shape[1] - SIDE + 1, levels.shape[2] - SIDE + 1
    codes = np.zeros((len(levels), height, width), np.int32)
    for i in range(SIDE):
        for j in range(SIDE):
            codes *= LEVELS
            codes += levels[:, i : i + height, j : j + width]
    return codes


def positions(levels: np.ndarray) -> Iterator[tuple[int, int]]:
    """Upper left corners of every patch."""
    for i in range(levels.shape[1] - SIDE + 1):
        for j in range(levels.shape[2] - SIDE + 1):
            yield i, j


def codes_at(levels: np.ndarray, i: int, j: int) -> np.ndarray:
    """Code of the patch at one position in every image: (n,) int32."""
    return code_map(levels[:, i : i + SIDE, j : j + SIDE])[:, 0, 0]


def counted(codes: np.ndarray, weights: np.ndarray, hits: np.ndarray, expected: np.ndarray, least: int, most: float) -> Counts:
    """Counts of the codes that at least `least` and at most `most` images bear. One code per image and call."""
    bearers = np.bincount(codes, weights, minlength=CODES)
    kept = np.flatnonzero((bearers >= least) & (bearers <= most))
    found = np.bincount(codes, hits, minlength=CODES)[kept]
    return Counts(kept, bearers[kept], found, np.bincount(codes, expected, minlength=CODES)[kept])


def anywhere(levels: np.ndarray, values: np.ndarray, batch: int = 2048) -> np.ndarray:
    """Sums over images, per code that occurs anywhere in the image (counted once): (CODES, k) for values (n, k)."""
    total = np.zeros((CODES, values.shape[1]))
    for start in range(0, len(levels), batch):
        codes = np.sort(code_map(levels[start : start + batch]).reshape(min(batch, len(levels) - start), -1), axis=1)
        first = np.ones(codes.shape, bool)
        first[:, 1:] = codes[:, 1:] != codes[:, :-1]
        image = np.nonzero(first)[0] + start
        for column in range(values.shape[1]):
            total[:, column] += np.bincount(codes[first], values[image, column], minlength=CODES)
    return total
