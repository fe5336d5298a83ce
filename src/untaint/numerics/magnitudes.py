"""How large a number may be, by the sizes seen so far: statistics that a twentieth of the numbers cannot spoil."""

import numpy as np

TAIL = 3.0
"""Times the distance from the median to the 95th percentile, on a logarithmic scale, that a number may lie beyond the percentile. Tails
that fall like a power go on in a straight line there: of Cauchy's, among the heaviest that data have, under 2 numbers in 100,000 are out
(tests)."""
TIMES = 8.0
"""And so many times more, for numbers that are all of one size, as the maxima of images are: their distance is zero."""
FEWEST = 20  # numbers under which nothing is usual


def limits(sizes: np.ndarray) -> np.ndarray:
    """(d,) the largest usual size of each column of sizes (n, d) >= 0, infinite where fewer than 20 are over zero.

    Zeros are left out, as are sizes that are not finite: where most numbers are zero, what is usual is seen in the others.
    """
    found = np.full(sizes.shape[1], np.inf)
    ordered = np.sort(np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.inf).astype(np.float64), axis=0)
    counts = np.isfinite(ordered).sum(axis=0)
    enough = counts >= FEWEST
    columns = np.flatnonzero(enough)
    last = counts[columns] - 1
    middle = np.log(ordered[np.floor(0.5 * last).astype(int), columns])
    high = np.log(ordered[np.floor(0.95 * last).astype(int), columns])
    with np.errstate(over="ignore"):
        found[columns] = np.exp(high + TAIL * (high - middle) + np.log(TIMES))
    return found
