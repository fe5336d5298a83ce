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


def standing_out(levels: np.ndarray) -> np.ndarray:
    """Which 3x3 patches of (n, h, w) grey levels end where they end: under one in eight of the cells next to them go on alike.

    (n, h-2, w-2) bool. A pasted patch has an edge wherever it lies; most white corners and black grounds of nature have none.
    """
    height, width = levels.shape[1] - SIDE + 1, levels.shape[2] - SIDE + 1
    padded = np.pad(levels.astype(np.uint8), ((0, 0), (1, 1), (1, 1)), constant_values=LEVELS)
    alike = np.zeros((len(levels), height, width), np.uint8)
    inside = np.zeros((height, width), np.uint8)
    for i in range(SIDE + 2):
        for j in range(SIDE + 2):
            if 0 < i <= SIDE and 0 < j <= SIDE:
                continue
            ring = padded[:, i : i + height, j : j + width]
            near = min(max(i, 1), SIDE), min(max(j, 1), SIDE)
            alike += ring == padded[:, near[0] : near[0] + height, near[1] : near[1] + width]
            inside += ring[0] < LEVELS
    return np.asarray(8 * alike < inside)


def anywhere(levels: np.ndarray, values: np.ndarray, batch: int = 2048, *, apart: bool = False) -> np.ndarray:
    """Sums over images, per code that occurs anywhere in the image (counted once): (CODES, k) for values (n, k).

    apart: only where it stands out from what is around it.
    """
    total = np.zeros((CODES + 1, values.shape[1]))
    for start in range(0, len(levels), batch):
        part = levels[start : start + batch]
        found = code_map(part)
        if apart:
            found = np.where(standing_out(part), found, CODES)
        codes = np.sort(found.reshape(len(part), -1), axis=1)
        first = np.ones(codes.shape, bool)
        first[:, 1:] = codes[:, 1:] != codes[:, :-1]
        image = np.nonzero(first)[0] + start
        for column in range(values.shape[1]):
            total[:, column] += np.bincount(codes[first], values[image, column], minlength=CODES + 1)
    return total[:CODES]
