"""How far to trust each of several judges."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from untaint.types import Labels


def stacked(judges: np.ndarray, labels: Labels, prior: np.ndarray) -> np.ndarray:
    """(m,) non-negative factors of judges (m, n, k) whose sum, with the prior (k,), says most of the labels: how far to trust each."""
    places = np.arange(len(labels))

    def loss(scale: np.ndarray) -> float:
        return float(-log_softmax(prior + np.tensordot(scale, judges, 1), axis=1)[places, labels].mean())

    found = minimize(loss, np.ones(len(judges)), method="L-BFGS-B", bounds=[(0.0, 100.0)] * len(judges))
    return np.asarray(found.x)
