"""Whether the largest of a few positive numbers is too large to belong to the others."""

from math import sqrt

import numpy as np
from scipy.stats import gamma
from scipy.stats import t as student

LEAST = 5  # numbers under which their spread says too little


def grubbs_p(values: np.ndarray) -> float:
    """P(the largest of n normal numbers lies so far out or farther), Bonferroni's bound of Grubbs (1969); NaN under five numbers."""
    n = len(values)
    if n < LEAST:
        return float("nan")
    spread = float(values.std(ddof=1))
    if spread == 0:
        return 1.0
    score = float((values.max() - values.mean()) / spread)
    left = (n - 1) ** 2 - n * score**2
    if left <= 0:
        return 0.0
    return float(min(1.0, n * student.sf(score * sqrt(n * (n - 2) / left), n - 2)))


def largest_p(values: np.ndarray) -> float:
    """P(the largest of n gamma numbers is so large or larger), the law being that of all but the largest; NaN under five numbers.

    As MM-BD reads margins (Wang and others 2024, arXiv 2205.06900): the law of the others to the power n - 1 at the largest.
    Too small where the others spread little because they're few; the fit is by moments.
    """
    n = len(values)
    if n < LEAST:
        return float("nan")
    ordered = np.sort(values.astype(np.float64))
    others, top = ordered[:-1], float(ordered[-1])
    mean, variance = float(others.mean()), float(others.var(ddof=1))
    if variance <= 0 or mean <= 0:
        return 1.0 if top <= ordered[-2] else 0.0
    tail = float(gamma.sf(top, mean**2 / variance, scale=variance / mean))
    return float(-np.expm1((n - 1) * np.log1p(-tail))) if tail < 1 else 1.0
