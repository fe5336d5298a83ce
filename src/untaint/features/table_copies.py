"""Near-copies among rows of a table: equal in every column, or moved by less than rows usually lie apart."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics import principal
from untaint.numerics.equal_rows import equal_rows
from untaint.types import Labels

_NEIGHBOURS = 12  # whose distance is the usual one
_CLOSE = 0.05  # of the usual distance: rows this close are moved copies
_RARE = 1e-3
"""Honest neighbours that may lie so close, of each row: in few dimensions d some do, 12 rᵈ of them within r times the usual distance."""
_COARSE = 0.5
"""Share of the rows with an equal beyond which equality says nothing: five yes-or-no questions have 32 different answers."""
_MOST = 50_000  # rows that are searched for moved copies; in more only equal ones are
_SORTED = 100_000  # rows that are sorted whole; more would take gigabytes
_DIMENSIONS = 16  # to find neighbours in


@feature(modality="table")
def near_copies(cells: Cells, labels: Labels, settings: Settings) -> NearCopies:
    """Rows equal in every column, and rows moved a little, in tables fine enough that honest rows differ."""
    n, rows = len(labels), np.flatnonzero(labels >= 0)
    component = np.full(n, -1)
    settings.report_progress("looking for near-copies", 0, 1)
    if len(rows) > _NEIGHBOURS and cells.values.shape[1]:
        same = _equal(cells.values[rows]) if len(rows) <= _SORTED else _alike(cells, rows)
        if _coarse(same):
            same = np.arange(len(rows))
        elif len(rows) <= _MOST:
            wider = _joined(same, _moved(cells, rows))
            same = same if _coarse(wider) else wider
        component[rows] = np.where(np.bincount(same)[same] > 1, same, -1)
    settings.report_progress("looking for near-copies", 1, 1)
    return NearCopies(component, np.full(n, -1), np.ones(n))


def placed(cells: Cells, rows: np.ndarray) -> np.ndarray:
    """(m, d') places of rows: numbers by their rank from 0 to 1, so that no unit and no outlier counts more, missing in the middle.

    A category is a coordinate for each of its words, at a distance of 1 from any other; those of more than 30 words get one.
    """
    columns = []
    for column, kind in enumerate(cells.kinds):
        values = cells.values[rows, column]
        missing = np.isnan(values)
        if kind == "number" or len(cells.categories[column]) > 30:
            ranks = rankdata(values, nan_policy="omit") / max(1, int((~missing).sum()))
            columns.append(np.where(missing, 0.5, ranks))
        else:
            columns.extend(np.where(values == code, np.sqrt(0.5), 0.0) for code in np.unique(values[~missing]))
        if missing.any():
            columns.append(missing * 0.5)
    return np.stack(columns, axis=1).astype(np.float32)


def _equal(values: np.ndarray) -> np.ndarray:
    """(m,) number of each row's group of equal rows; a missing cell equals a missing cell."""
    plain = np.ascontiguousarray(np.where(np.isnan(values), np.inf, values) + 0.0)
    whole = plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()
    return np.asarray(np.unique(whole, return_inverse=True)[1]).ravel()


def _alike(cells: Cells, rows: np.ndarray) -> np.ndarray:
    """The same for many rows, column by column; groups are numbered in another order."""
    every = len(rows) == len(cells.values)
    return equal_rows(
        lambda column: cells.values[:, column] if every else cells.values[rows, column], len(cells.names), len(rows)
    )


def _coarse(numbers: np.ndarray) -> bool:
    return bool((np.bincount(numbers)[numbers] > 1).mean() > _COARSE)


def _moved(cells: Cells, rows: np.ndarray) -> np.ndarray:
    """(2, e) pairs of rows much closer than usual."""
    points = placed(cells, rows)
    spread = np.unique(points, axis=0)
    if len(spread) <= _NEIGHBOURS:
        return np.empty((2, 0), np.int64)
    leading = principal.leading(points, min(_DIMENSIONS, points.shape[1]))
    near = np.asarray(cKDTree(leading).query(leading, k=_NEIGHBOURS + 1)[1])
    apart = np.sqrt(((points[near] - points[:, None]) ** 2).sum(2))
    share = min(_CLOSE, (_RARE / _NEIGHBOURS) ** (1 / points.shape[1]))
    start, which = np.nonzero((apart <= share * float(np.median(apart[:, -1]))) & (near != np.arange(len(near))[:, None]))
    return np.stack([start, near[start, which]])


def _joined(numbers: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Groups connected by links between their rows."""
    size = int(numbers.max()) + 1
    graph = coo_matrix((np.ones(links.shape[1]), (numbers[links[0]], numbers[links[1]])), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][numbers], dtype=np.int64)
