"""How much larger than usual a number is, on a logarithmic scale and with statistics that half of the numbers cannot spoil."""

from typing import NamedTuple

import numpy as np

NORMAL = 1.4826
"""Times the median absolute deviation: the standard deviation of normal numbers."""


class Usual(NamedTuple):
    """Median and spread of logarithms of sizes; spread: `NORMAL` times the median absolute deviation."""

    middle: float
    spread: float


def usual(sizes: np.ndarray) -> Usual | None:
    """What sizes (n,) are usual; those that are zero or not finite are left out. None = there is none."""
    logs = np.log(sizes[np.isfinite(sizes) & (sizes > 0)])
    if len(logs) == 0:
        return None
    middle = float(np.median(logs))
    return Usual(middle, NORMAL * float(np.median(np.abs(logs - middle))))


def too_large(sizes: np.ndarray, known: Usual, cut: float, times: float) -> np.ndarray:
    """(n,) whether sizes are over the usual by more than `cut` spreads and over the median by more than a factor of `times`."""
    limit = known.middle + max(cut * known.spread, float(np.log(times)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(~(np.log(np.abs(sizes)) <= limit))
