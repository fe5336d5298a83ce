"""Logarithms of probabilities from scores."""

import numpy as np


def normalised(scores: np.ndarray) -> np.ndarray:
    """(n, k) minus the logarithm of what their exponentials add up to in each row. Of two classes without a walk along short rows."""
    if scores.shape[1] == 2:
        odds = scores[:, 1] - scores[:, 0]
        usual = np.logaddexp(0, -np.abs(odds))  # of the likelier class, the other is as much less likely as the odds say
        return np.stack([-usual - np.maximum(odds, 0), -usual - np.maximum(-odds, 0)], axis=1)
    lowered = scores - scores.max(1, keepdims=True)
    return np.asarray(lowered - np.log(np.exp(lowered).sum(1, keepdims=True)))
