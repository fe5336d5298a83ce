"""Where rows of a table lie: standardised columns."""

import numpy as np

from untaint.features.cells import Cells

_FAR = 3.0  # standard deviations; one value however large must not put a row apart from all others
_WORDS = 10  # most frequent words of a category that have a coordinate each


def spread(cells: Cells, rows: np.ndarray, most: int | None = None) -> np.ndarray:
    """(m, d') places of rows: numbers in standard deviations from their mean, clipped, missing at the mean; words at 0 or 1.

    Numbers that are not finite count as missing, constant columns and rare words are left out. most: columns that are used, drawn at
    random where there are more; None = all.
    """
    columns: list[np.ndarray] = []
    chosen = np.random.default_rng(0).permutation(len(cells.kinds))[:most]
    for column in np.sort(chosen).tolist():
        kind, values = cells.kinds[column], cells.values[rows, column]
        there = np.isfinite(values)
        if not there.any():
            continue
        if kind == "category":
            words, counts = np.unique(values[there], return_counts=True)
            columns.extend((values == word).astype(float) for word in words[np.argsort(-counts, kind="stable")[:_WORDS]])
            continue
        with np.errstate(over="ignore"):  # numbers beyond what squares hold: the column is left out
            width = float(values[there].std())
        if width > 0 and np.isfinite(width):
            columns.append(np.where(there, np.clip((values - values[there].mean()) / width, -_FAR, _FAR), 0.0))
    return np.stack(columns, axis=1) if columns else np.empty((len(rows), 0))
