"""Principal coordinates."""

import numpy as np


def leading(points: np.ndarray, count: int) -> np.ndarray:
    """(n, d) coordinates along the `count` directions of most variance, least first; d is under `count` where points have fewer."""
    centred = points - points.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    coordinates: np.ndarray = centred @ vectors[:, -count:]
    return coordinates
