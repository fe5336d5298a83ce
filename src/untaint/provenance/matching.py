"""Which rows of two versions have no counterpart in the other: by digest, each row against one row, wherever it stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np


class Digests(Protocol):
    """(n, 4) uint64: 32 bytes a row, an array or a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> np.ndarray: ...


@final
@dataclass(frozen=True)
class Stored:
    """Digests in a file, of which only what is asked for comes into memory."""

    path: Path
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        if self.size == 0:
            return np.empty((0, 4), "<u8")
        return np.array(np.memmap(self.path, "<u8", "r", shape=(self.size, 4))[key])  # mapped for this one time


SLICE = 1 << 17
"""Rows compared at once, 4 MiB of each version."""
AT_ONCE = 1 << 20
"""Rows sorted at once; sorting keeps some 100 bytes of each."""


def digests(raw: bytes) -> np.ndarray:
    """Digests that lie one after another."""
    return np.frombuffer(raw, "<u8").reshape(-1, 4)


def unmatched(old: Digests, new: Digests) -> tuple[np.ndarray, np.ndarray]:
    """(n,) and (m,) bool: rows of either without a counterpart in the other; of several equal ones as many as are too many.

    What is the same from the start and from the end belongs together before anything else, then rows at the same place counted from
    either: so of equal rows the one that was changed is the one that is named.
    """
    lone = np.ones(len(old), bool), np.ones(len(new), bool)
    begin = _common(old, new, 0)
    end = _common(old, new, begin, backwards=True)
    for mask in lone:
        mask[:begin] = mask[len(mask) - end :] = False
    _same_place(old, new, lone, 0)
    if len(old) != len(new):
        _same_place(old, new, lone, len(new) - len(old))
    left = int(lone[0].sum() + lone[1].sum())
    buckets = max(1, -(-left // AT_ONCE))
    for bucket in range(buckets):
        rows = [np.flatnonzero(mask)[_of(side, mask, bucket, buckets)] for side, mask in zip((old, new), lone, strict=True)]
        matched = counterparts(old[rows[0]], new[rows[1]])
        for mask, own, found in zip(lone, rows, matched, strict=True):
            mask[own[found]] = False
    return lone


def _common(old: Digests, new: Digests, skip: int, *, backwards: bool = False) -> int:
    """How many rows are the same from the start, or from the end without the first `skip`."""
    most, found = min(len(old), len(new)) - skip, 0
    while found < most:
        step = min(SLICE, most - found)
        one, other = (
            side[len(side) - found - step : len(side) - found][::-1] if backwards else side[skip + found : skip + found + step]
            for side in (old, new)
        )
        same = (one == other).all(axis=1)
        if not same.all():
            return found + int(same.argmin())
        found += step
    return found


def _same_place(old: Digests, new: Digests, lone: tuple[np.ndarray, np.ndarray], shift: int) -> None:
    """Rows r of `old` and r + shift of `new`."""
    low, high = max(0, -shift), min(len(old), len(new) - shift)
    for start in range(low, high, SLICE):
        end = min(high, start + SLICE)
        here, there = slice(start, end), slice(start + shift, end + shift)
        same = (old[here] == new[there]).all(axis=1) & lone[0][here] & lone[1][there]
        lone[0][here] &= ~same
        lone[1][there] &= ~same


def _of(side: Digests, mask: np.ndarray, bucket: int, buckets: int) -> np.ndarray:
    """Which of the lone rows belong to a bucket; digests spread evenly."""
    if buckets == 1:
        return np.ones(int(mask.sum()), bool)
    return np.concatenate([side[rows][:, 0] % np.uint64(buckets) == bucket for rows in _pieces(np.flatnonzero(mask))])


def counterparts(old: Digests, new: Digests) -> tuple[np.ndarray, np.ndarray]:
    """(n,) and (m,) bool: the first min(a, b) of every digest that comes a times here and b times there."""
    both = np.concatenate([old, new])
    order = np.lexsort((np.arange(len(both)), *both.T[::-1]))
    ordered = both[order]
    begins = np.ones(len(both), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    group = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    from_old = order < len(old)
    olds = np.bincount(group[from_old], minlength=len(first))
    news = np.bincount(group[~from_old], minlength=len(first))
    place = np.arange(len(both)) - first[group]
    place[~from_old] -= olds[group[~from_old]]
    found = np.zeros(len(both), bool)
    found[order] = place < np.minimum(olds, news)[group]
    return found[: len(old)], found[len(old) :]


def _pieces(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, max(1, len(rows)), SLICE):
        yield rows[start : start + SLICE]
