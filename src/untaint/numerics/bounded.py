"""How much a row's gradient counts under a bounded loss: the slope of that loss over the slope of the plain one, 0..1.

A row that holds a NaN or an infinity counts 0. No input is touched.
"""

import numpy as np

from untaint.types import Mask, Scores

_NORMAL = 1.4826
"""Median absolute deviation of normal noise to its standard deviation."""


def surprise(outputs: np.ndarray, targets: np.ndarray) -> Scores:
    """Divergence (n,) of the softmax of logits (n, k) from targets: codes (n,), or probabilities (n, k); infinite where not finite.

    For codes it is the cross-entropy; probabilities lose their own entropy, so that a row that is read as it says has 0.
    """
    clean = np.isfinite(outputs).all(1)
    logits = np.where(clean[:, None], outputs, 0.0).astype(np.float64)
    logits -= logits.max(1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    if targets.ndim == 1:
        known = (targets >= 0) & (targets < logs.shape[1])
        found = -logs[np.arange(len(logs)), np.where(known, targets, 0)]
        return np.where(clean & known, found, np.inf)
    sound = clean & np.isfinite(targets).all(1) & (targets >= 0).all(1)
    shares = np.where(sound[:, None], targets, 0.0).astype(np.float64)
    own = np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1.0)), 0.0).sum(1)
    return np.where(sound, np.maximum(own - (shares * logs).sum(1), 0.0), np.inf)


def believed(surprises: np.ndarray, power: float) -> Scores:
    """Generalised cross-entropy, (1 - p^q) / q, of losses (n,) -log p: its slope is p^q times that of -log p; q = 0 is plain.

    Reference: Zhang, Sabuncu 2018, arXiv 1805.07836, equation 6.
    """
    sound = np.isfinite(surprises)
    return np.where(sound, np.exp(-power * np.maximum(np.where(sound, surprises, 0.0), 0.0)), 0.0)


def within(residuals: np.ndarray, width: float) -> Scores:
    """Huber's loss on residuals (n,): 1 up to `width` standard deviations, from there on falling with the residual.

    The deviation is that of normal noise with the rows' median; where the median is 0 there is none, and all count.
    Reference: Huber 1964, doi 10.1214/aoms/1177703732
    """
    sound = np.isfinite(residuals)
    sizes = np.abs(np.where(sound, residuals, 0.0)).astype(np.float64)
    limit = width * _NORMAL * float(np.median(sizes[sound])) if sound.any() else 0.0
    factors = np.minimum(1.0, limit / np.maximum(sizes, limit)) if limit > 0 else np.ones(len(sizes))
    return np.where(sound, factors, 0.0)


def worst(losses: np.ndarray, share: float) -> Mask:
    """The rows with the greatest losses, that share of all, rounded down; those that are not finite are the worst of all."""
    rank = np.where(np.isfinite(losses), losses, np.inf)
    mask = np.zeros(len(losses), dtype=bool)
    mask[np.argsort(-rank, kind="stable")[: int(share * len(losses))]] = True
    return mask
