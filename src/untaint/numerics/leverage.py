"""Leverage: how far a row is from the others in the directions in which they hardly differ."""

import numpy as np

RIDGE = 1e-6
"""Added to variances of 1: a direction in which rows differ by less than a thousandth of their columns counts as if they did by that."""
PER_COLUMN = 5  # rows for each column, fewer of which say nothing of directions


def whitener(deviations: np.ndarray) -> np.ndarray | None:
    """(d, d) by which deviations (m, d) from the middle become uncorrelated, of variance 1 / d each; None = too few rows.

    Columns are scaled by their own spread first. Rows that are not finite are left out.
    """
    kept = deviations[np.isfinite(deviations).all(axis=1)].astype(np.float64)
    if len(kept) < max(PER_COLUMN * deviations.shape[1], 20):
        return None
    scale = kept.std(axis=0)
    scale[scale == 0] = np.inf
    covariance = np.cov(kept / scale, rowvar=False, bias=True).reshape(len(scale), -1)
    values, vectors = np.linalg.eigh(covariance + RIDGE * np.eye(len(scale)))
    return np.asarray(vectors / np.sqrt(values * len(scale)) / scale[:, None])


def leverages(deviations: np.ndarray, white: np.ndarray) -> np.ndarray:
    """(n,) mean square of whitened deviations: 1 on average where rows are like those the whitener was made of."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.square(deviations.astype(np.float64) @ white).sum(axis=1))
