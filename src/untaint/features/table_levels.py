"""Columns of a table in few levels: what judges learn from, a byte a cell."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import ndtri

from untaint.features.cells import Cells
from untaint.numerics.oblivious import LEVELS

_SAMPLE = 20_000  # rows that say where levels of numbers lie
_FAR = 3.0  # standard deviations: one value however large must not outweigh all others
_WORDS = 10  # most frequent words of a category that a linear judge tells apart


@final
@dataclass(frozen=True)
class TableLevels:
    """codes: (n, d) uint8 level of every cell, 0 = missing.  unordered: (d,) bool, words, of which the last level is all rare ones.

    places: for each column (LEVELS, b) coordinates of its levels: of numbers the value in standard deviations, clipped, and the
    normal score of its rank; of words whether it is each of the most frequent; of both whether it is missing.
    """

    codes: np.ndarray
    unordered: np.ndarray
    places: tuple[np.ndarray, ...]


def table_levels(cells: Cells) -> TableLevels:
    """Numbers in quantiles, words by how frequent they are."""
    count, width = cells.values.shape
    codes, places = np.zeros((count, width), np.uint8, order="F"), []
    rows = np.arange(count) if count <= _SAMPLE else np.random.default_rng(count).choice(count, _SAMPLE, replace=False)
    for column, kind in enumerate(cells.kinds):
        values = cells.values[:, column]
        there = np.isfinite(values)
        if kind == "category":
            codes[there, column] = _words(values[there], len(cells.categories[column]))
            places.append(np.eye(LEVELS)[:, : 1 + _WORDS])
            continue
        seen = values[rows][there[rows]]
        edges = _edges(seen)
        codes[there, column] = 1 + np.minimum(np.searchsorted(edges, values[there]), LEVELS - 2)
        places.append(_coordinates(seen, edges))
    return TableLevels(codes, np.array([kind == "category" for kind in cells.kinds], bool), tuple(places))


def _words(codes: np.ndarray, known: int) -> np.ndarray:
    """Levels 1, 2, 3... by frequency, the last for all the rest."""
    counts = np.bincount(codes.astype(np.int64), minlength=known)
    level = np.full(len(counts), LEVELS - 1)
    level[np.argsort(-counts, kind="stable")[: LEVELS - 2]] = np.arange(1, min(len(counts), LEVELS - 2) + 1)
    return np.asarray(level[codes.astype(np.int64)])


def _edges(values: np.ndarray) -> np.ndarray:
    """Largest value of each level: every value its own where there are few enough."""
    distinct = np.unique(values)
    if len(distinct) < LEVELS:
        return distinct
    return np.unique(np.quantile(values, np.linspace(0, 1, LEVELS - 1), method="lower"))


def _coordinates(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    places = np.zeros((LEVELS, 3))
    places[0, 2] = 1.0
    if len(values):
        level = np.minimum(np.searchsorted(edges, values), LEVELS - 2)
        counts = np.bincount(level, minlength=LEVELS - 1)
        width = float(values.std()) or 1.0
        shifted = np.clip((values - values.mean()) / width, -_FAR, _FAR)
        places[1:, 0] = np.bincount(level, shifted, LEVELS - 1) / np.maximum(counts, 1)
        places[1:, 1] = ndtri((np.cumsum(counts) - counts / 2).clip(0.5, len(values) - 0.5) / len(values))
    return places
