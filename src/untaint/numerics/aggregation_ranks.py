"""Medians and trimmed means of rows, coordinate by coordinate.

Both are means of the middle ranks. Few rows are put in order by a sorting network whose comparators work on whole rows at once; many
are turned a block of columns at a time, so that each column lies together, and sorted there. Neither reads a number twice from memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from jaxtyping import Float

NETWORK_ROWS = 32
"""Up to here a network is faster than sorting columns, 10 times at 8 rows; at 48 rows it has lost (float32, 100,000 columns)."""
_NETWORK_BLOCK = 1 << 19
"""Numbers per block of a network: 2 MB of float32. Smaller blocks fit a nearer cache and cost more calls, which weighs more."""
_SORT_BLOCK = 1 << 15
"""Numbers per block that is turned and sorted: 128 KB of float32, so that a block stays in the second cache."""
_TIE = 1e-9
"""Share of all weight about its middle that a weighted median averages: two rows where the middle falls between them."""

Vector = Float[np.ndarray, "d"]
Vectors = Float[np.ndarray, "n d"]


def middle_mean(rows: Vectors, cut: int) -> Vector:
    """Mean of each column without its `cut` least and `cut` greatest numbers; 2 * cut < n, all finite.

    cut = (n - 1) // 2 is the median.  The numbers are divided before they are added, so a mean of finite numbers is finite.
    """
    blocks = _by_network if len(rows) <= NETWORK_ROWS else _by_sorting
    return blocks(np.empty(rows.shape[1], rows.dtype), rows, cut)


def weighted_middle_mean(rows: Vectors, weights: Float[np.ndarray, "n"], cut: float) -> Vector:
    """The same where row i counts weights[i] times: `cut` is the weight taken off each end, less than half of it all.

    A row on the edge counts with the part of its weight that is inside. cut = half of all weight is the weighted median.
    """
    total = float(weights.sum())
    low = min(cut, total * (1 - _TIE) / 2)
    out = np.empty(rows.shape[1], rows.dtype)
    for columns in _blocks(rows, _SORT_BLOCK):
        turned = np.ascontiguousarray(rows[:, columns].T)
        order = np.argsort(turned, axis=1)
        upto = np.cumsum(weights[order], axis=1)
        inside = np.minimum(upto, total - low) - np.maximum(upto - weights[order], low)
        inside = inside.clip(0) / (total - 2 * low)
        out[columns] = (np.take_along_axis(turned, order, 1) * inside).sum(1)
    return out


def _blocks(rows: np.ndarray, numbers: int) -> list[slice]:
    n, d = rows.shape
    step = max(1, numbers // n)
    return [slice(start, min(start + step, d)) for start in range(0, d, step)]


def _by_sorting(out: np.ndarray, rows: np.ndarray, cut: int) -> np.ndarray:
    n = len(rows)
    blocks = _blocks(rows, _SORT_BLOCK)
    share = np.full(n - 2 * cut, 1 / (n - 2 * cut), rows.dtype)
    space = np.empty((max((b.stop - b.start for b in blocks), default=0), n), rows.dtype)
    for columns in blocks:
        block = space[: columns.stop - columns.start]
        block[...] = rows[:, columns].T
        block.sort(axis=1)
        np.matmul(block[:, cut : n - cut], share, out=out[columns])
    return out


def _by_network(out: np.ndarray, rows: np.ndarray, cut: int) -> np.ndarray:
    n = len(rows)
    blocks = _blocks(rows, _NETWORK_BLOCK)
    network = comparators(n, cut)
    share = rows.dtype.type(1 / (n - 2 * cut))
    space = np.empty((n + 3, max((b.stop - b.start for b in blocks), default=0)), rows.dtype)
    for columns in blocks:
        total, part, *free = space[:, : columns.stop - columns.start]
        middle = _run(network, list(rows[:, columns]), free)[cut : n - cut]
        np.multiply(middle[0], share, out=total)
        for line in middle[1:]:
            np.multiply(line, share, out=part)
            total += part
        out[columns] = total
    return out


@final
@dataclass(frozen=True)
class Comparator:
    """Puts the lesser of two lines on `low`, the greater on `high`; a side that nobody reads afterwards is not computed."""

    low: int
    high: int
    keeps_low: bool
    keeps_high: bool


@lru_cache(maxsize=64)
def comparators(n: int, cut: int) -> tuple[Comparator, ...]:
    """A network after which lines cut..n-cut-1 hold the middle ranks, in whatever order.

    Batcher's merge exchange (Knuth, The Art of Computer Programming 3, algorithm 5.2.2 M), less every comparator whose two
    lines are both in the mean or both out of it and go through no other: the mean does not ask for their order.
    """
    in_mean: list[bool | None] = [cut <= line < n - cut for line in range(n)]  # None: another comparator reads the line
    kept: list[Comparator] = []
    for low, high in reversed(_merge_exchange(n)):
        if in_mean[low] is not None and in_mean[low] == in_mean[high]:
            continue
        kept.append(Comparator(low, high, in_mean[low] is not False, in_mean[high] is not False))
        in_mean[low] = in_mean[high] = None
    return tuple(reversed(kept))


def _merge_exchange(n: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    top = 1 << max(0, (n - 1).bit_length() - 1)
    stride = top
    while stride > 0:
        reach, residue, distance = top, 0, stride
        while True:
            pairs += [(i, i + distance) for i in range(n - distance) if i & stride == residue]
            if reach == stride:
                break
            distance, reach, residue = reach - stride, reach // 2, stride
        stride //= 2
    return pairs


def _run(network: Sequence[Comparator], lines: list[np.ndarray], free: list[np.ndarray]) -> list[np.ndarray]:
    """The lines after the network. Those given are not written to: results go to `free`, one line more than `lines`."""
    own = [False] * len(lines)
    for step in network:
        first, second = lines[step.low], lines[step.high]
        used = [line for line, index in ((first, step.low), (second, step.high)) if own[index]]
        if step.keeps_low:
            lines[step.low] = np.minimum(first, second, out=free.pop())
        if step.keeps_high:  # in place where it can be: what is in the cache stays there
            lines[step.high] = np.maximum(first, second, out=second if own[step.high] else free.pop())
            used = used[:-1] if own[step.high] else used
        free += used
        own[step.low], own[step.high] = step.keeps_low, step.keeps_high
    return lines
