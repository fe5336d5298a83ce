"""Which rows of many columns are equal, without sorting whole rows: by a number each, and then column by column."""

from collections.abc import Callable

import numpy as np

_FACTOR, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
"""The golden ratio in 64 bits, and a shift of nearly half: what one column changes reaches every bit of the next."""


def equal_rows(column: Callable[[int], np.ndarray], width: int, size: int) -> np.ndarray:
    """(n,) number of each row's group of equal rows; NaN equals NaN, and 0.0 equals -0.0.

    column: (n,) numbers of a column, asked for twice, so that no two columns need be in memory.

    Two different rows have the same 64-bit number once in a million tables of five million rows. Such a row is told apart from the
    first of its group and counts as equal to none.
    """
    mixed = np.zeros(size, np.uint64)
    for number in range(width):
        mixed ^= _bits(column(number))
        mixed *= _FACTOR
        mixed ^= mixed >> _SHIFT
    order = np.argsort(mixed, kind="stable")
    new = np.append(True, mixed[order][1:] != mixed[order][:-1])[:size]
    group = np.empty(size, np.int64)
    group[order] = np.cumsum(new) - 1
    first = order[np.flatnonzero(new)]
    rest = np.flatnonzero(first[group] != np.arange(size))
    differs = np.zeros(len(rest), bool)
    for number in range(width) if len(rest) else ():
        values = column(number)
        differs |= _bits(values[rest]) != _bits(values[first[group[rest]]])
    group[rest[differs]] = len(first) + np.arange(int(differs.sum()))
    return group


def _bits(column: np.ndarray) -> np.ndarray:
    return (np.where(np.isnan(column), np.nan, column) + 0.0).view(np.uint64)
