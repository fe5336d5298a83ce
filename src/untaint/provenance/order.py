"""Samples that stand in another order: as few as have to be moved to get from one order to the other."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.provenance.matching import SLICE, Digests, counterparts

DETAILED = 200_000
"""Rows between the first and the last that stands elsewhere, up to which it is found out which of them were moved: less than a second."""


@final
@dataclass(frozen=True)
class Moved:
    """old, new: (k,) rows of either version: the same samples, which were moved.  more: places that hold others, too many to tell."""

    old: np.ndarray
    new: np.ndarray
    more: int = 0


def moved(old: Digests, new: Digests, left: tuple[np.ndarray, np.ndarray]) -> Moved:
    """What was moved. left: (n,) and (m,) bool: rows that are not looked at, such as those without a counterpart.

    Rows that stay are a longest increasing sequence (Fredman 1975), so one sample that was moved to the start is one that was moved.
    """
    sizes = [len(mask) - int(mask.sum()) for mask in left]
    start = _common(old, new, left, min(sizes))
    end = _common(old, new, left, min(sizes) - start, backwards=True)
    if max(sizes) - start - end > DETAILED:
        return Moved(*(np.empty(0, np.int64),) * 2, more=_elsewhere(old, new, left) + abs(sizes[0] - sizes[1]))
    kept = [_between(mask, start, size - end) for mask, size in zip(left, sizes, strict=True)]
    digests = [side[rows] for side, rows in zip((old, new), kept, strict=True)]
    both = counterparts(*digests)
    kept = [rows[found] for rows, found in zip(kept, both, strict=True)]
    orders = [np.lexsort(side[found].T[::-1]) for side, found in zip(digests, both, strict=True)]  # stable: of equal ones in turn
    place = np.empty(len(kept[1]), np.int64)
    place[orders[1]] = orders[0]  # where the samples of `new` stood in `old`
    away = ~_longest_increasing(place)
    return Moved(kept[0][place[away]], kept[1][away])


def _common(old: Digests, new: Digests, left: tuple[np.ndarray, np.ndarray], most: int, *, backwards: bool = False) -> int:
    """How many rows that are looked at are the same from the start, or from the end, up to `most`."""
    found = 0
    for here, there in _pairs(left, backwards=backwards):
        same = (old[here] == new[there]).all(axis=1)
        if not same.all():
            return min(most, found + int(same.argmin()))
        found += len(here)
        if found >= most:
            break
    return min(most, found)


def _elsewhere(old: Digests, new: Digests, left: tuple[np.ndarray, np.ndarray]) -> int:
    """How many places hold another row than before."""
    return sum(int((old[here] != new[there]).any(axis=1).sum()) for here, there in _pairs(left))


def _between(mask: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Numbers `start` to `stop` of the rows that are looked at."""
    found, seen = [np.empty(0, np.int64)], 0
    for rows in _rows(mask):
        found.append(rows[max(0, start - seen) : max(0, stop - seen)])
        seen += len(rows)
    return np.concatenate(found)


def _pairs(left: tuple[np.ndarray, np.ndarray], *, backwards: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows that are looked at, of both versions side by side, as far as both go; a few at a time."""
    sides = [_rows(mask, backwards=backwards) for mask in left]
    one, other = (next(side, None) for side in sides)
    while one is not None and other is not None:
        size = min(len(one), len(other))
        yield one[:size], other[:size]
        one = one[size:] if len(one) > size else next(sides[0], None)
        other = other[size:] if len(other) > size else next(sides[1], None)


def _rows(mask: np.ndarray, *, backwards: bool = False) -> Iterator[np.ndarray]:
    """Rows that a mask leaves, from either end."""
    starts = range(0, len(mask), SLICE)
    for start in reversed(starts) if backwards else starts:
        rows = np.flatnonzero(~mask[start : start + SLICE]) + start
        if len(rows):
            yield rows[::-1] if backwards else rows


def _longest_increasing(values: np.ndarray) -> np.ndarray:
    """(n,) bool: a longest increasing subsequence of different numbers, by the tops of piles."""
    tops, places, before = list[int](), list[int](), np.full(len(values), -1)
    for place, value in enumerate(values.tolist()):
        pile = bisect_left(tops, value)
        before[place] = places[pile - 1] if pile else -1
        tops[pile : pile + 1] = [value]
        places[pile : pile + 1] = [place]
    chosen, at = np.zeros(len(values), bool), places[-1] if places else -1
    while at >= 0:
        chosen[at] = True
        at = int(before[at])
    return chosen
