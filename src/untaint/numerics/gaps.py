"""Values far beyond all others: a gap among the largest values, against what the tail before it says of values still larger."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import logsumexp

MOST = 5
"""Values that may stand beyond a gap: more of them are a cluster, no few points."""
FEWEST = 25
"""Values before the gap that say how the tail thins out; fewer say next to nothing of values ten times as large."""
_SHARE, _LONGEST = 0.25, 250
"""Of the positive values, and how many at most, count as the tail. A tenth leaves its shape so uncertain that ten times the largest of
600 Gaussian values is no surprise (2e-4, with a quarter 7e-7); a quarter of Student's t with 2 degrees of freedom is still tail."""
_HEAVIEST = 2.0
"""Mean log spacing of the largest values, the inverse of a power tail's exponent, beyond which no tail is judged: there ten times the
largest is an even chance, and what is heavier than any power (log-Cauchy) is like no tail considered here."""
_SHAPES = (
    np.linspace(-0.5, 3.0, 36) + 1e-9
)  # from bounded to a power tail of exponent 1/3; never quite 0, where the formula has a gap
_SCALES = np.exp(np.linspace(np.log(1 / 8), np.log(6.0), 30))  # times the median excess, which is .6 to 2.4 times the scale
_SCARCE, _TENFOLD = 5, 10.0  # values before a gap, and its ratio, from which it is named though no tail can judge it
_PLACES = (2, 8, 8, 8, 8)  # Bonferroni weights: one row is the likeliest, half of all error goes to it


@final
@dataclass(frozen=True)
class Gap:
    """count: values beyond the gap.  ratio: the smallest of them by the largest before it.  p_value: corrected for `MOST` places."""

    count: int
    ratio: float
    p_value: float


NONE = Gap(0, 1.0, 1.0)


def largest_gap(values: np.ndarray, least: float = 1.0) -> Gap:
    """The gap of at least a ratio that the tail before it explains least, of sizes (n,) of at least 0; NaN = missing.

    Excesses of the largest values over a threshold follow a generalised Pareto law (Pickands 1975) whatever the unit and the zero. What
    c values beyond a gap would be by that law is averaged over its shape and scale as the values before the gap have them (uniform
    in shape and log scale). Equal values lie anywhere in the step down to the next. Without `FEWEST` positive values no gap is judged:
    a tenfold one is named with a p-value of 1.
    """
    top = _top(values)
    if len(top) <= FEWEST + MOST:
        return _unjudged(values, max(least, _TENFOLD))
    ratios = top[:MOST] / top[1 : MOST + 1]
    if not (ratios >= least).any() or _heavy(top):
        return NONE
    found = NONE
    for count, p_value in enumerate(_chances(top), 1):
        ratio, corrected = float(ratios[count - 1]), min(1.0, _PLACES[count - 1] * p_value)
        if ratio >= least and corrected < found.p_value:
            found = Gap(count, ratio, corrected)
    return found


def _unjudged(values: np.ndarray, least: float) -> Gap:
    """The widest gap of at least a ratio among the few values there are."""
    there = -np.sort(-values[values > 0])
    most = min(MOST, len(there) - _SCARCE)
    if most < 1:
        return NONE
    ratios = there[:most] / there[1 : most + 1]
    at = int(ratios.argmax())
    return Gap(at + 1, float(ratios[at]), 1.0) if ratios[at] >= least else NONE


def beyond(values: np.ndarray, ratio: float) -> float:
    """p-value that one value more would have, so many times the largest; 1 where no gap is judged."""
    there = values[~np.isnan(values)]
    return largest_gap(np.append(there, ratio * there.max()), ratio / 2).p_value if len(there) else 1.0


def _top(values: np.ndarray) -> np.ndarray:
    """The tail, largest first, and the largest value under it; nothing where there are too few."""
    there = values[values > 0]
    size = int(min(_LONGEST, max(2 * FEWEST, _SHARE * len(there)), 0.6 * len(there)))
    if size <= FEWEST + MOST:
        return np.empty(0)
    top = -np.sort(-np.partition(there, len(there) - size)[-size:])
    under = there[there < top[-1]]
    return np.append(top, under.max() if len(under) else 0.0)


def _heavy(top: np.ndarray) -> bool:
    """Whether the tail is too heavy to judge, whatever lies beyond the first gaps."""
    spacings = np.arange(MOST + 1, FEWEST + MOST) * np.log(top[MOST : FEWEST + MOST - 1] / top[MOST + 1 : FEWEST + MOST])
    return bool(spacings.mean() > _HEAVIEST)


def _chances(top: np.ndarray) -> list[float]:
    """For 1 to `MOST` values: the chance that as many lie as far out as they do, given that they lie beyond the rest."""
    over, before = top[:-1] - top[-1], _steps(top) - top[-1]
    shape = _SHAPES[:, None, None]
    scale = float(np.median((over + before)[MOST:]) / 2) * _SCALES[None, :, None]
    survival = _survival(over, shape, scale)
    with np.errstate(invalid="ignore"):  # beyond the end of a bounded law
        density = np.where(survival > -np.inf, -np.log(scale) + (1 + shape) * survival, -np.inf)
        start = _survival(before, shape, scale)
        within = np.where(start > -np.inf, start + np.log(-np.expm1(np.minimum(survival - start, -1e-12))), -np.inf)
    one = np.where(before < over - 1e-9 * top[0], within, density)
    likelihood = np.cumsum(one[..., ::-1], axis=-1)[..., ::-1]  # of the values from each place on
    chances = []
    for count in range(1, MOST + 1):
        rest = likelihood[..., count]
        beyond_it = logsumexp(rest + count * survival[..., count - 1])
        chances.append(float(np.exp(beyond_it - logsumexp(rest + count * survival[..., count]))))
    return chances


def _survival(over: np.ndarray, shape: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Logarithm of the chance to exceed."""
    inside = 1 + shape * over / scale
    return np.where(inside > 0, -np.log(np.maximum(inside, 1e-300)) / shape, -np.inf)


def _steps(top: np.ndarray) -> np.ndarray:
    """Where the step begins whose end each value of the tail is: the next smaller size of equal ones, itself of others."""
    sizes, place, counts = np.unique(top, return_inverse=True, return_counts=True)
    smaller = np.concatenate([sizes[:1], sizes[:-1]])
    return np.asarray(np.where(counts > 1, smaller, sizes)[place])[:-1]
