"""Samples that stand in another order: as few as have to be moved to get from one order to the other."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.provenance.matching import AT_ONCE, Digests, counterparts

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
    kept = [np.flatnonzero(~mask) for mask in left]
    start, stops = _between(old, new, kept)
    kept = [rows[start:stop] for rows, stop in zip(kept, stops, strict=True)]
    if max(map(len, kept)) > DETAILED:
        return Moved(*(np.empty(0, np.int64),) * 2, more=_elsewhere(old, new, kept))
    digests = [side[rows] for side, rows in zip((old, new), kept, strict=True)]
    both = counterparts(*digests)
    kept = [rows[found] for rows, found in zip(kept, both, strict=True)]
    orders = [np.lexsort(side[found].T[::-1]) for side, found in zip(digests, both, strict=True)]  # stable: of equal ones in turn
    place = np.empty(len(kept[1]), np.int64)
    place[orders[1]] = orders[0]  # where the samples of `new` stood in `old`
    away = ~_longest_increasing(place)
    return Moved(kept[0][place[away]], kept[1][away])


def _between(old: Digests, new: Digests, kept: list[np.ndarray]) -> tuple[int, tuple[int, int]]:
    """Start and ends of what is not the same from either end."""
    most = min(map(len, kept))
    start = _common(old, new, [rows[:most] for rows in kept])
    backwards = [rows[::-1][: most - start] for rows in kept]
    end = _common(old, new, backwards)
    return start, (len(kept[0]) - end, len(kept[1]) - end)


def _common(old: Digests, new: Digests, kept: list[np.ndarray]) -> int:
    for begin in range(0, len(kept[0]), AT_ONCE):
        here, there = (rows[begin : begin + AT_ONCE] for rows in kept)
        same = (old[here] == new[there]).all(axis=1)
        if not same.all():
            return begin + int(same.argmin())
    return len(kept[0])


def _elsewhere(old: Digests, new: Digests, kept: list[np.ndarray]) -> int:
    """How many places hold another row than before."""
    found = abs(len(kept[0]) - len(kept[1]))
    for begin in range(0, min(map(len, kept)), AT_ONCE):
        here, there = (rows[begin : begin + AT_ONCE] for rows in kept)
        size = min(len(here), len(there))
        found += int((old[here[:size]] != new[there[:size]]).any(axis=1).sum())
    return found


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
