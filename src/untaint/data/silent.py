"""Columns that say nothing of a row: empty, constant, given out one by one, or the label once more."""

from collections.abc import Sequence

import numpy as np

from untaint.data.columns import Column

_EXPECTED = 20.0
"""Pairs of equal values that as many whole numbers, spread evenly over their range, would have. Where there is hardly one, the numbers
were given out one by one: with 20 expected, 2 or fewer have a chance of 5e-7, and measurements are never spread more evenly than evenly."""
_FEW = 0.1  # of the pairs expected
_FEWEST = 50  # rows from which all values being different says something of a column of words
_EXACT = 2.0**53  # float64 tells whole numbers apart up to here; nothing that is measured is larger
_LOOKED = 1000  # cells that show most columns to have more values than there are labels


def silent(columns: Sequence[Column], labels: Sequence[str | None]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Name → why a column is left out where rows are judged, and which of them are the label once more."""
    number = {label: code for code, label in enumerate(sorted({label for label in labels if label is not None}))}
    codes = np.array([-1 if label is None else number[label] for label in labels])
    reasons: dict[str, str] = {}
    leaks = []
    for column in columns:
        rows = np.flatnonzero(~np.isnan(column.values))
        values = column.values[rows]
        full = column.missing + len(column.odd) + len(column.wild) == 0
        if len(values) == 0:
            reasons[column.name] = "is empty"
        elif full and values.min() == values.max():
            reasons[column.name] = "is the same in every row"
        elif _id(column, values):
            reasons[column.name] = "has another value in every row, as an id has"
        elif _one_to_one(values[codes[rows] >= 0], codes[rows[codes[rows] >= 0]], len(number)):
            reasons[column.name] = "is the label once more"
            leaks.append(column.name)
    return reasons, tuple(leaks)


def _id(column: Column, values: np.ndarray) -> bool:
    """Whether values were given out one by one: words all different, or whole numbers that repeat less than chance would have them."""
    count = len(values)
    if column.kind == "category":
        return count >= _FEWEST and column.distinct == count
    if column.kind != "number" or count < 2 or not (values == np.round(values)).all():
        return False
    repeated = count - len(np.unique(values))
    if np.abs(values).max() >= _EXACT:
        return count >= _FEWEST and repeated <= count // 100
    expected = count * (count - 1) / 2 / (values.max() - values.min() + 1)
    return bool(expected >= _EXPECTED and repeated <= _FEW * expected and repeated <= count // 100)


def _one_to_one(values: np.ndarray, labels: np.ndarray, classes: int) -> bool:
    """Whether each of several values goes with one label and each label with one value."""
    if len(values) < _FEWEST or classes > len(values) // 2 or len(np.unique(values[:_LOOKED])) > classes:
        return False
    distinct, places = np.unique(values, return_inverse=True)
    pairs = len(np.unique(places * classes + labels))
    return 1 < pairs == len(distinct) == len(np.unique(labels))
