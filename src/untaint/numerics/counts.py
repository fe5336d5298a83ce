"""Tests on counts: how surprising is it that D of m cases have a property, given their own expectations?"""

import numpy as np
from scipy.special import xlogy
from scipy.stats import norm, poisson


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


def tail_excess(scores: np.ndarray, cuts: tuple[float, float, float] = (3.0, 5.0, 7.0)) -> tuple[float, float]:
    """Is there a second population far out in a tail that ought to thin out?

    scores: standardised scores of one class.  The counts between the cuts set the rate at which the tail decays; what lies
    beyond the last cut is compared with the geometric continuation (decay at most 0.8 per step, a heavier tail than any
    seen on clean data).  Returns the Poisson p-value and the separation: share of the tail beyond the first cut that lies
    beyond the last one, 0..1, small for every tail that thins out.
    """
    near = int(((scores > cuts[0]) & (scores <= cuts[1])).sum())
    middle = int(((scores > cuts[1]) & (scores <= cuts[2])).sum())
    far = int((scores > cuts[2]).sum())
    decay = min((middle + 1) / (near + 1), 0.8)
    expected = (middle + 1) * decay / (1 - decay)
    total = near + middle + far
    return float(poisson.sf(far - 1, expected)), far / total if total else 0.0
