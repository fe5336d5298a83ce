"""How well every share of labels wrong for no reason explains what a judge errs on, each under the curve of honest errors that fits it."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from untaint.numerics.lapses import BELIEF, SHIFT, STEEPNESS

SHARES = np.geomspace(1e-4, 0.45, 200)
"""Shares that are asked about; the first stands for none."""
_FITTED = 25  # of them, evenly; those between are interpolated
_BINS = 150  # of rows about as sure: the curve is smooth


def profile(sureness: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """(200,) logarithms of the likelihood of each of `SHARES`. sureness: (n,) log odds, wrong: (n,) bool."""
    if len(wrong) == 0:
        return np.zeros(len(SHARES))
    parts = np.array_split(np.argsort(sureness, kind="stable"), min(_BINS, len(wrong)))
    sure = np.array([sureness[part].mean() for part in parts])
    wrongs = np.array([wrong[part].sum() for part in parts], np.float64)
    rights = np.array([len(part) for part in parts]) - wrongs
    at, found = np.zeros(2), []
    asked = np.geomspace(SHARES[0], SHARES[-1], _FITTED)
    for share in asked:

        def loss(curve: np.ndarray, share: float = float(share)) -> float:
            honest = expit(-(np.exp(curve[0]) * sure + curve[1]))
            erring = np.clip(share + (1 - 2 * share) * honest, 1e-9, 1 - 1e-9)
            return float(-(wrongs * np.log(erring) + rights * np.log(1 - erring)).sum() + BELIEF * (curve**2).sum())

        fitted = minimize(loss, at, method="L-BFGS-B", bounds=[STEEPNESS, SHIFT])
        at = fitted.x
        found.append(-float(fitted.fun))
    return np.interp(np.log(SHARES), np.log(asked), found)
