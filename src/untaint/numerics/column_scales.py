"""Where the columns of a table lie and how wide they are, by statistics that less than half of the rows cannot spoil."""

from typing import Final

import numpy as np

NORMAL: Final = 1.4826
"""Times the median absolute deviation: the standard deviation of normal numbers."""
LARGEST: Final = 1e100
"""Squares of larger numbers, and sums of many such squares, are not finite."""


def column_scales(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians (d,) and spreads (d,) of the columns of finite numbers (n, d), in their own precision; 0 and 1 where there are no rows.

    A spread is the scaled median deviation; where more than half of the cells are equal, that of the cells that deviate; else 1.
    """
    centre, scale = np.zeros(table.shape[1], table.dtype), np.ones(table.shape[1], table.dtype)
    if not len(table):
        return centre, scale
    with np.errstate(over="ignore"):
        centre[:] = np.median(table, axis=0)
        off = np.abs(table - centre)
        wide = np.median(off, axis=0)
        for column in np.flatnonzero(wide == 0):
            deviating = off[off[:, column] > 0, column]
            wide[column] = np.median(deviating) if len(deviating) else 0
        scale[:] = wide * NORMAL
    scale[scale == 0] = 1
    return centre, scale


def usable(*tables: np.ndarray) -> np.ndarray:
    """(n,) rows in which every number of all tables (n,) or (n, d) is finite and small enough to be squared."""
    whole = np.ones(len(tables[0]), bool)
    for table in tables:
        with np.errstate(invalid="ignore"):
            whole &= (np.abs(table.reshape(len(table), -1)) <= LARGEST).all(axis=1)
    return whole
