"""Where a text stops making sense."""

from collections.abc import Sequence

import numpy as np

from untaint.numerics.runs import flat, sense

_WINDOW = (30, 80)
"""Words before and after: what follows a trigger are paragraphs, and honest texts have odd stretches of a line."""
_FEWEST = (6, 20)  # pairs that tell something before and after
_SENSE, _NONSENSE = 0.6, 0.2
"""Of the median text's order: before the onset at least so much, after it at most."""
_ENOUGH = 2_000_000
"""Words of short texts: 100,000 tweets."""


def onsets(ids: Sequence[np.ndarray], vocabulary: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) the word at which each text turns from sense to nonsense most sharply, -1 = it does not.

    Of texts too short for it so many are read as teach which words go together.
    """
    result = np.full(len(ids), -1)
    sizes = np.fromiter(map(len, ids), np.int64, len(ids))
    long = sizes > sum(_FEWEST)
    if long.any():
        short = np.flatnonzero(~long)
        read = np.union1d(np.flatnonzero(long), short[:: max(1, -(-int(sizes[short].sum()) // _ENOUGH))])
        result[read] = _turns([ids[text] for text in read.tolist()], vocabulary, rng)
    return result


def _turns(ids: Sequence[np.ndarray], vocabulary: int, rng: np.random.Generator) -> np.ndarray:
    result = np.full(len(ids), -1)
    words, rows = flat(ids)
    real, random = sense(ids, vocabulary, rng)
    told = np.isfinite(real) & np.isfinite(random)
    order = np.where(told, real - np.mean(random[told]), 0.0) if told.any() else np.zeros(len(words))
    starts = np.searchsorted(rows, np.arange(len(ids)))
    ends = np.searchsorted(rows, np.arange(len(ids)), side="right")
    counted = np.bincount(rows[told], minlength=len(ids))
    means = np.bincount(rows, order, minlength=len(ids)) / np.maximum(counted, 1)
    usual = float(np.median(means[counted >= sum(_FEWEST)])) if (counted >= sum(_FEWEST)).any() else np.inf
    sums, counts = (np.concatenate([[0.0], np.cumsum(values)]) for values in (order, told))
    at = np.arange(len(words))
    low, high = np.maximum(at - _WINDOW[0], starts[rows]), np.minimum(at + _WINDOW[1], ends[rows])
    n_before, n_after = counts[at] - counts[low], counts[high] - counts[at]
    before, after = (sums[at] - sums[low]) / np.maximum(n_before, 1), (sums[high] - sums[at]) / np.maximum(n_after, 1)
    fit = (n_before >= _FEWEST[0]) & (n_after >= _FEWEST[1]) & (before >= _SENSE * usual) & (after <= _NONSENSE * usual)
    sharp = np.where(fit, before - after, -np.inf)
    able = np.flatnonzero(fit)
    able = able[np.lexsort((-sharp[able], rows[able]))]
    found = able[np.concatenate([[True], rows[able][1:] != rows[able][:-1]])[: len(able)]]
    result[rows[found]] = found - starts[rows[found]]
    return result
