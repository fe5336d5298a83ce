"""What share of a list of doubtful labels is wrong for no reason, told from the rows a judge is surest of."""

import numpy as np

from untaint.numerics.lapses import lapses
from untaint.types import Labels, Mask, Probabilities

_ASKED = 20_000  # rows that the curve is fitted to; more change nothing
_LEAST = 1e-6  # probability


def lapsed_precision(probabilities: Probabilities, labels: Labels, listed: Mask, listable: np.ndarray) -> float:
    """Share of the listed rows expected to be flips at random; NaN where nothing is listed.

    probabilities: (n, k) of every label by models that have not seen the row.  listable: (k, k) rows that look like c and would be
    listed if their label were y. Any number of classes will do: of each row only whether its label is the likeliest counts.
    """
    if not listed.any():
        return float("nan")
    rows = np.random.default_rng(len(labels)).permutation(len(labels))[:_ASKED]
    ordered = np.sort(np.log(np.maximum(probabilities[rows], _LEAST)), axis=1)
    found = lapses(ordered[:, -1] - ordered[:, -2], probabilities[rows].argmax(1) != labels[rows])
    classes = probabilities.shape[1]
    expected = found.share * float(listable[~np.eye(classes, dtype=bool)].sum()) / (classes - 1)
    return min(1.0, expected / int(listed.sum()))
