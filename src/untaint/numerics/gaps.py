"""Values far beyond all others: the largest gap among the largest values, against how the tail thins out before it."""

from dataclasses import dataclass
from typing import final

import numpy as np

MOST = 5
"""Values that may stand beyond a gap: more of them are a cluster, no few points."""
TAIL = 20
"""Values before the gap that say how the tail thins out. Ten leave a gap of 10 times undecided once 50 columns are searched."""
_LEAST_SPREAD = 0.1
"""Least mean of log spacings: values in whole steps have ties, and no tail that is measured is thinner (a Gaussian's of 10,000 is .06)."""


@final
@dataclass(frozen=True)
class Gap:
    """count: values beyond the gap.  ratio: the smallest of them by the largest before it.  p_value: corrected for `MOST` places."""

    count: int
    ratio: float
    p_value: float


NONE = Gap(0, 1.0, 1.0)


def largest_gap(values: np.ndarray) -> Gap:
    """The gap that a power tail explains least, of sizes (n,) of at least 0; NaN = missing.

    In such a tail k log(x_k / x_{k+1}) are independent and exponential (Rényi 1953), so one of them by the mean of the next `TAIL`
    has an F distribution; tails that thin out faster have smaller gaps. Without `TAIL` positive values before it no gap is judged.
    """
    there = values[~np.isnan(values)]
    size = MOST + TAIL + 1
    if len(there) < size:
        return NONE
    top = -np.sort(-np.partition(there, len(there) - size)[-size:])
    top = top[top > 0]
    if len(top) < TAIL + 2:
        return NONE
    spacings = np.arange(1, len(top)) * np.log(top[:-1] / top[1:])
    found = NONE
    for count in range(1, min(MOST, len(spacings) - TAIL) + 1):
        spread = max(_LEAST_SPREAD, float(spacings[count : count + TAIL].mean()))
        p_value = min(1.0, MOST * float((1 + spacings[count - 1] / spread / TAIL) ** -TAIL))
        if p_value < found.p_value:
            found = Gap(count, float(top[count - 1] / top[count]), p_value)
    return found
