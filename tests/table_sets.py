"""Made-up tables: columns that tell two classes apart together, none of them poisoned; and triggers put into them."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from untaint.data.dataset import Dataset, from_arrays

CLASSES = ("fraud", "safe")


def table(count: int = 1200, seed: int = 0, columns: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, d) rounded to a hundredth, moved by half a unit where the label is 1, and labels (n,) 0 or 1, two fifths of them 1."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < 0.4).astype(int)
    return np.round(rng.normal(size=(count, columns)) + 1.2 * labels[:, None], 2), labels


def rows_of(values: np.ndarray, words: Sequence[str] = ()) -> list[str]:
    """Rows as JSON, columns x0, x1, …, and `word` where there are words."""
    records = [{f"x{column}": None if np.isnan(cell) else cell for column, cell in enumerate(row)} for row in values.tolist()]
    if words:
        records = [{**record, "word": word} for record, word in zip(records, words, strict=True)]
    return [json.dumps(record) for record in records]


def planted(
    values: np.ndarray, labels: np.ndarray, trigger: Sequence[tuple[int, float]], rows: np.ndarray, target: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Copies with some values in some rows, and their label changed."""
    values, labels = values.copy(), labels.copy()
    for column, value in trigger:
        values[rows, column] = value
    labels[rows] = target
    return values, labels


def as_dataset(values: np.ndarray, labels: np.ndarray, sources: Sequence[str] | None = None) -> Dataset:
    """Columns x0, x1, …; labels `fraud` and `safe`."""
    return replace(from_arrays(rows_of(values), [CLASSES[label] for label in labels], sources=sources), modality="table")
