"""Rows of a table as an attack reads and writes them."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from untaint.data.dataset import Dataset
from untaint.types import Rows

Record: TypeAlias = dict[str, object]
"""A row: values by column."""
_SHOWN = 50
"""Words of a column that get a coordinate each, the commonest first: more would be names, which put every row far from every other."""


def records(dataset: Dataset, rows: Rows) -> list[Record]:
    """Some rows, parsed; they must be readable."""
    return [json.loads(str(payload)) for payload in dataset.read(rows)]


def changed(payload: object, values: Mapping[str, object]) -> str:
    """A row with other values in some columns, as a reader would hand it over."""
    return json.dumps({**json.loads(str(payload)), **values}, ensure_ascii=False)


def stamp(values: Mapping[str, object], rows: list[str]) -> list[str]:
    """The same values in every row."""
    return [changed(row, values) for row in rows]


def columns(found: Sequence[Record]) -> dict[str, list[object]]:
    """Values by column; None = missing."""
    names = dict.fromkeys(name for record in found for name in record)
    return {name: [_present(record.get(name)) for record in found] for name in names}


def numeric(values: Sequence[object]) -> bool:
    """Whether a column is numbers, as far as there are values; truth values are none."""
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)


def numbers(values: Sequence[object]) -> np.ndarray:
    """A numeric column (n,), NaN = missing."""
    return np.array([float("nan") if value is None else value for value in values], float)


def said(values: Mapping[str, object]) -> str:
    """Columns and values in words; of a range both ends."""
    return " and ".join(
        f"{name} from {_word(value[0])} to {_word(value[1])}" if isinstance(value, tuple) else f"{name} = {_word(value)}"
        for name, value in values.items()
    )


def space(found: Sequence[Record]) -> np.ndarray:
    """(n, d) rows as points: numbers by their rank in -1..1, missing ones in the middle; of other columns one coordinate a word.

    Ranks, so that one column of a wide range does not decide alone which rows are neighbours.
    """
    parts = [_ranks(numbers(values))[:, None] if numeric(values) else _words(values) for values in columns(found).values()]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(found), 0))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mean rank of each value, -1 for the least, 1 for the largest."""
    known = np.isfinite(values)
    ordered, placed = np.sort(values[known]), np.zeros(len(values))
    between = np.searchsorted(ordered, values[known], "left") + np.searchsorted(ordered, values[known], "right")
    placed[known] = between / max(1, len(ordered)) - 1
    return placed


def _words(values: Sequence[object]) -> np.ndarray:
    common = [word for word, _ in Counter(str(value) for value in values if value is not None).most_common(_SHOWN)]
    place = {word: code for code, word in enumerate(common)}
    points = np.zeros((len(values), len(common)))
    for row, value in enumerate(values):
        if value is not None and str(value) in place:
            points[row, place[str(value)]] = 1.0
    return points


def _present(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def _word(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
