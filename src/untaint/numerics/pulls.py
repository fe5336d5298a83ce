"""How hard single rows pull a linear model one way: the spectral filter on gradients, without an array of gradients."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from untaint.numerics import principal
from untaint.types import Labels

WIDEST = (
    64  # directions of most variance that a model learns from; more change little, and its fit takes as long as they are many
)
_STEPS, _CLOSE = 100, 1e-3  # of the solver: the model need not be exact
_TURNS = 30  # of power iteration; where two directions are so alike that more would be needed, either will do


def narrowed(points: np.ndarray) -> np.ndarray:
    """(n, d) places in at most `WIDEST` directions."""
    return principal.leading(points, WIDEST) if points.shape[1] > WIDEST else points


def learned(points: np.ndarray, labels: Labels) -> LogisticRegression:
    """A softmax regression as people fit it."""
    return LogisticRegression(max_iter=_STEPS, tol=_CLOSE).fit(points, labels)


def pulls(model: LogisticRegression, points: np.ndarray, labels: Labels) -> np.ndarray:
    """(n,) squared length of each row's gradient along the direction in which the gradients of all rows (n, d) differ most.

    The gradient of a row's loss is its residuals (k,) times its place (d + 1,), the constant included. Their mean is taken off. Labels
    are classes the model knows.
    """
    residuals = np.array(model.predict_proba(points))
    residuals[np.arange(len(labels)), np.searchsorted(model.classes_, labels)] -= 1
    return strays(residuals, np.column_stack([points, np.ones(len(points))]))


def strays(residuals: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(n,) squared projections of the gradients residuals (n, k) x places (n, d), less their mean, on the direction of most variance."""
    middle = residuals.T @ places / len(places)
    way, lengths = np.random.default_rng(0).normal(size=middle.shape), np.zeros(len(places))
    for _ in range(_TURNS):
        lengths = (residuals * (places @ way.T)).sum(1) - (middle * way).sum()
        way = (residuals * lengths[:, None]).T @ places - middle * lengths.sum()
        way /= max(float(np.linalg.norm(way)), 1e-300)
    return np.asarray(lengths**2)
