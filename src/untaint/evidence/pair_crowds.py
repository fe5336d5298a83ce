"""Pairs of classes with more sure contradictions than any pair has by nature, where there are many pairs to compare."""

import numpy as np
from scipy.stats import nbinom

from untaint.types import Labels, Mask

_SURE = 2.5
"""Log odds against the label from which a contradiction counts: twelve to one. Honest ones between look-alike letters, digits and soils
are mostly less sure; of labels flipped in a tenth of a class two thirds are this sure."""
_LEAST_SPREAD = 1.05  # of counts: variance over mean; honest pairs are never all alike


def crowds(logs: np.ndarray, labels: Labels, single: Mask) -> np.ndarray:
    """(k, k) chance that any pair has as many sure contradictions as rows that look like a and are labelled b; 1 where it has none.

    logs: (n, k) logarithms of probabilities.  single: (n,) bool, rows that count. The counts of all other pairs, each for the rows that
    look like its first class, say how unevenly pairs are confused: a negative binomial, so that one heavy honest pair makes the
    test mild. A pair is expected to have as many as its reverse at least, for honest confusion is mutual.
    """
    counts, shown = _counted(logs, labels, single)
    classes = len(counts)
    due = np.repeat(shown[:, None] / max(float(shown.mean()), 1e-9), classes, axis=1)
    off, chances = ~np.eye(classes, dtype=bool), np.ones((classes, classes))
    for a, b in np.argwhere(counts > 0):
        others = off.copy()
        others[a, b] = False
        rate = (counts[others].sum() + 0.5) / max(due[others].sum(), 1)
        usual = rate * due[others]
        spread = max(_LEAST_SPREAD, float(((counts[others] - usual) ** 2).mean() / usual.mean()))
        expected = max(rate * due[a, b], counts[b, a] * shown[a] / max(shown[b], 1))
        size = max(rate, expected) / (spread - 1)
        chances[a, b] = min(1.0, float(nbinom.sf(counts[a, b] - 1, size, size / (size + expected))) * int(off.sum()))
    return chances


def _counted(logs: np.ndarray, labels: Labels, single: Mask) -> tuple[np.ndarray, np.ndarray]:
    """(k, k) sure contradictions of rows that look like a and are labelled b, and (k,) rows that look like a."""
    classes, looks, known = logs.shape[1], logs.argmax(1), single & (labels >= 0)
    rows = np.flatnonzero(known & (looks != labels))
    sure = rows[logs[rows, looks[rows]] - logs[rows, labels[rows]] > _SURE]
    counts = np.zeros((classes, classes))
    np.add.at(counts, (looks[sure], labels[sure]), 1)
    return counts, np.bincount(looks[known], minlength=classes)
