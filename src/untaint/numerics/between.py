"""Where do some values lie on the line between two groups of others?"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

_AGAINST = 0.5  # of chance: content speaks against a label that is less probable


class End(NamedTuple):
    """A group at one end of the line. mean: of its values.  variance: of that mean."""

    mean: float
    variance: float


class Place(NamedTuple):
    """place: 0 = where the low end is, 1 = where the high one is.  p_value: one-sided, of lying below a point between them."""

    place: float
    p_value: float


UNKNOWN = Place(1.0, 1.0)
"""Of values that cannot be placed."""


def end(values: np.ndarray) -> End:
    """Of (m,) values, two at least."""
    return End(float(values.mean()), float(values.var(ddof=1) / len(values)))


def placed(values: np.ndarray, weights: np.ndarray, low: End, high: End, middle: float) -> Place:
    """Place of (m,) values with weights, and Student's test of their mean being under a middle, the ends known with their own errors.

    UNKNOWN where the ends are not apart or the values weigh less than two.
    """
    count = float(weights.sum())
    if not high.mean > low.mean or not count >= 2:
        return UNKNOWN
    mean = float((weights * values).sum() / count)
    own = float((weights * (values - mean) ** 2).sum()) / (count - 1) / count
    spread = np.sqrt(own + (low.variance + high.variance) / 4)
    return Place((mean - low.mean) / (high.mean - low.mean), float(student.sf((middle - mean) / max(spread, 1e-6), count - 1)))


def half_way(low: float, high: float, classes: int) -> float:
    """The middle between the mean probability of a label where it is wrong and where it is right.

    Of two classes it is half way. Of more, half way on a scale of logarithms: an honest case may be as near to three other labels,
    and a relabelled one is as near to this label as to any; but never under half of chance, where content is sure of everything.
    """
    if classes == 2:  # the other label is the opposite
        return (low + high) / 2
    return min((low + high) / 2, max(float(np.sqrt(max(low, 0.0) * high)), _AGAINST / classes))
