"""Tests on counts: how surprising is it that D of m cases have a property, given their own expectations?"""

import numpy as np
from scipy.special import xlogy
from scipy.stats import beta, binom, norm


def signed_root(hits: np.ndarray, trials: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Signed root of the binomial deviance of `hits` among `trials` with `expected` hits: about standard normal under the null.

    Positive when there are more hits than expected.
    """
    observed = hits / trials
    chance = np.clip(expected / trials, 1e-6, 1 - 1e-6)
    deviance = 2 * trials * (xlogy(observed, observed / chance) + xlogy(1 - observed, (1 - observed) / (1 - chance)))
    root: np.ndarray = np.sign(observed - chance) * np.sqrt(np.maximum(deviance, 0))
    return root


def overdispersion(roots: np.ndarray) -> float:
    """How much wider than standard normal the upper tail of many null roots is, never under 1.

    Read off the 90 % and 99 % points of the positive half, an empirical null in the sense of Efron (2004): cases come in
    families (look-alike images), so independent-trial theory is too sure. Rare true signals hardly move these quantiles.
    """
    positive = roots[roots > 0]
    if len(positive) < 100:
        return 1.0
    ratios = [np.quantile(positive, q) / norm.ppf(0.5 + q / 2) for q in (0.90, 0.99)]
    return float(max(1.0, *ratios))


def bonferroni(root: float, spread: float, tests: int) -> float:
    """Corrected one-sided p-value of the largest of `tests` roots with an empirical spread."""
    return float(min(1.0, tests * norm.sf(root / spread)))


_HEAVIEST = 0.8
"""Decay from one step to the next of the heaviest tail seen on clean data (ankle boots of Fashion-MNIST: 0.79)."""


def tail_excess(scores: np.ndarray, cuts: tuple[float, float, float] = (3.0, 5.0, 7.0)) -> tuple[float, float]:
    """Is there a second population far out in a tail that ought to thin out?

    scores: standardised scores of one class.  Null: counts between the cuts fall off geometrically by a factor d of at most
    0.8 per step, so that of all beyond the first cut a share of d² lies beyond the last. Two tests, the smaller p-value
    doubled: d at its limit; and d as the near counts estimate it, their uncertainty integrated out.
    Returns that p-value and the separation: the share itself, 0..1, small for every tail that thins out.
    """
    near = int(((scores > cuts[0]) & (scores <= cuts[1])).sum())
    middle = int(((scores > cuts[1]) & (scores <= cuts[2])).sum())
    far = int((scores > cuts[2]).sum())
    total = near + middle + far
    if far == 0:
        return 1.0, 0.0
    limit = float(binom.sf(far - 1, total, _HEAVIEST**2))
    part = (np.arange(400) + 0.5) / 400
    decay = np.minimum(beta.ppf(part, middle + 1, near + 1), 0.5 - 1e-9)  # middle / (near + middle) = d / (1 + d)
    decay = np.minimum(decay / (1 - decay), 1.0)
    estimated = float(binom.sf(far - 1, total, decay**2).mean())
    return min(1.0, 2 * min(limit, estimated)), far / total


def valley(scores: np.ndarray, low: float, steps: int = 60) -> float:
    """The emptiest place between `low` and the middle of the second population: where to cut the two apart.

    Counts in windows one unit wide; of several equally empty ones the middle. `low` itself when nothing lies beyond it.
    """
    beyond = np.sort(scores[scores > low])
    if len(beyond) == 0:
        return low
    places = np.linspace(low, max(float(np.median(beyond)), low), steps)
    crowd = np.searchsorted(beyond, places + 0.5) - np.searchsorted(beyond, places - 0.5)
    return float(np.median(places[crowd == crowd.min()]))
