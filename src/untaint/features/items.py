"""What a row has, as a trigger might use it: single values, ranges, extremes, gaps; and the rows that have each."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from untaint.features.cells import Cells
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.types import Labels, Rows

FEWEST = 5  # rows with a value, under which nothing can be said of it
_SHARE = 1 / 2000
"""And this share of all rows: a column of measurements has nearly as many values as rows, and poison that matters has ten times it."""
_MOST = 0.5
"""Share of rows from which a value is the rule: nobody would know a trigger by it, and pairs with it say what the other part says."""
DRAWN = 200_000
"""Rows of a large table that are looked at: of poison in a thousandth of all rows they hold two hundred."""
_BINS = 32  # ranges per column of numbers with as many rows each
_TAIL = 0.005  # of rows at either end
_FEW_VALUES = 32  # values in all, up to which ranges would only repeat them


@final
@dataclass(frozen=True)
class Drawn:
    """rows: those drawn from a large table, ascending.  cells: of the whole table."""

    rows: Rows
    cells: Cells


@final
@dataclass(frozen=True)
class Items:
    """Values and ranges that rows have, by column, and who has each.

    column, low, high: (m,) low = high: that value, of a category its code; NaN = missing; else the range, both ends in it.
    row: (e,) rows of all items one after another, ascending in each.  starts: (m + 1,) where each item's begin.
    cells: of all n rows.  drawn: of a large table, which rows these n are; None = they are all of it.
    """

    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    row: np.ndarray
    starts: np.ndarray
    cells: Cells
    drawn: Drawn | None = None

    def __len__(self) -> int:
        return len(self.column)

    def bearers(self, item: int) -> Rows:
        """Rows that have an item."""
        return self.row[self.starts[item] : self.starts[item + 1]]

    def all_of(self, items: tuple[int, ...]) -> Rows:
        """Rows that have every one of some items."""
        found = self.bearers(items[0])
        for item in items[1:]:
            found = np.intersect1d(found, self.bearers(item), assume_unique=True)
        return found

    def matrix_of(self, rows: Rows) -> csr_matrix:
        """(m, items) one where one of these rows has an item."""
        return self.matrix[rows]

    @cached_property
    def matrix(self) -> csr_matrix:
        """(n, m) one where a row has an item."""
        ones = np.ones(len(self.row), np.float32)
        return csc_matrix((ones, self.row, self.starts), shape=(len(self.cells.values), len(self))).tocsr()


@feature(modality="table")
def items(cells: Cells, labels: Labels, settings: Settings) -> Items:
    """Of every column: frequent values, 32 ranges, both extremes, and missing, where at most half of all rows have it.

    Of a table with more than 200,000 rows with a label so many are drawn, each as likely as any other.
    """
    known = np.flatnonzero(labels >= 0)
    if len(known) <= DRAWN:
        return found_in(cells)
    rows = np.sort(np.random.default_rng(settings.seed).choice(known, DRAWN, replace=False))
    return replace(found_in(replace(cells, values=cells.values[rows])), drawn=Drawn(rows, cells))


def found_in(cells: Cells) -> Items:
    """The items of all rows of some cells."""
    n, least = len(cells.values), max(FEWEST, int(_SHARE * len(cells.values)))
    found: list[tuple[int, float, float, np.ndarray]] = []
    for column, kind in enumerate(cells.kinds):
        values = cells.values[:, column]
        order = np.argsort(values, kind="stable")  # not a number comes last
        known = order[: n - int(np.isnan(values).sum())]
        spans = [(np.nan, np.nan, len(known), n), *_spans(values[known], kind == "number")]
        found += [
            (column, low, high, np.sort(order[start:end])) for low, high, start, end in spans if least <= end - start <= _MOST * n
        ]
    column_of = np.array([each[0] for each in found], np.int64)
    ends = np.array([each[1:3] for each in found], np.float64).reshape(-1, 2)
    rows = [each[3] for each in found]
    starts = np.cumsum([0, *map(len, rows)])
    return Items(column_of, ends[:, 0], ends[:, 1], np.concatenate([np.empty(0, np.int64), *rows]), starts, cells)


def _spans(values: np.ndarray, ranges: bool) -> list[tuple[float, float, int, int]]:
    """Low, high, and the places from and to, of what sorted values hold; no range twice, none of a single value."""
    different, starts = np.unique(values, return_index=True)
    ends = np.append(starts[1:], len(values))
    found = list(zip(different.tolist(), different.tolist(), starts.tolist(), ends.tolist(), strict=True))
    if not ranges or len(different) <= _FEW_VALUES:
        return found
    cuts = np.searchsorted(starts, np.linspace(0, len(values), _BINS + 1).astype(int))  # a value is never cut in two
    tail = max(1, int(_TAIL * len(values)))
    edges = [0, int(np.searchsorted(starts, tail)), int(np.searchsorted(starts, len(values) - tail)), len(different)]
    pairs = {*zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True), (edges[0], edges[1]), (edges[2], edges[3])}
    return found + [
        (float(different[a]), float(different[b - 1]), int(starts[a]), int(ends[b - 1])) for a, b in sorted(pairs) if b - a > 1
    ]
