"""What is usual of some statistics, class by class, and how surprising a value is: minus the logarithm of its tail probability."""

import warnings
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import log_softmax

from untaint.types import Labels

_LENT = 10.0
"""References a class borrows from all: the median of fewer than about ten says little by itself."""
_FLOOR = 0.1
"""Least spread of a class as a share of the spread of all; a class whose references agree to the digit is luck."""
_TAIL = 0.1
"""Share of the references behind a fitted tail; within the rest they speak for themselves."""
_HEAVIEST = 0.5
"""Largest shape of the tail (generalised Pareto); beyond it the variance is infinite and the fit of fifty points is noise."""
_NORMAL = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
_FAR = 1e30  # in place of infinity, which has no excess over anything
_MOST = 700.0  # exp(-700) is the last probability a float can hold


@final
@dataclass(frozen=True)
class Usual:
    """Learned of n references with s statistics in k classes.

    centre, spread (k, s): where a class's values lie.  body (s, n): its standardised values in order, NaN at the end.
    tails (s, 2, 3): of the upper and the lower end, where the tail starts, its scale and its shape.  both (s,): 1 = low values are
    surprising as well.
    """

    centre: np.ndarray
    spread: np.ndarray
    body: np.ndarray
    tails: np.ndarray
    both: np.ndarray

    def surprise(self, statistics: np.ndarray, labels: Labels) -> np.ndarray:
        """-log of the tail probability of statistics (n, s); NaN where one is NaN."""
        standard = (statistics - self.centre[labels]) / self.spread[labels]
        found = np.empty(standard.shape)
        for at, values in enumerate(standard.T):
            known = self.body[at][~np.isnan(self.body[at])]
            upper = _surprise(values, known, self.tails[at, 0])
            if self.both[at]:
                lower = _surprise(-values, -known[::-1], self.tails[at, 1])
                upper = np.maximum(upper, lower) - np.log(2)
            found[:, at] = upper
        found[np.isnan(standard)] = np.nan
        return found


def usual(statistics: np.ndarray, labels: Labels, classes: int, both: np.ndarray, within: np.ndarray | None = None) -> Usual:
    """Learn from statistics (n, s) of references said to be of `classes` classes.

    both (s,): which are surprising at both ends.  within (s,): which are compared within their class only, None = all.
    """
    centre, spread = places(statistics, labels, classes)
    if within is not None:
        across = ~within
        everyone = places(statistics[:, across], np.zeros(len(labels), np.int64), 1)
        centre[:, across], spread[:, across] = everyone
    body = np.sort((statistics - centre[labels]) / spread[labels], axis=0).T
    tails = np.zeros((len(body), 2, 3))
    for at, values in enumerate(body):
        known = values[~np.isnan(values)]
        tails[at] = _tail(known), _tail(-known[::-1])
    return Usual(*(part.astype(np.float32) for part in (centre, spread, body, tails, both)))


def places(statistics: np.ndarray, labels: Labels, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust spread (k, s) of statistics (n, s) in every class, each drawn towards that of all as far as the class is small."""
    middle, wide = (np.where(np.isnan(part), fallback, part) for part, fallback in zip(_middle(statistics), (0, 1), strict=True))
    centre, spread = np.tile(middle, (classes, 1)), np.tile(wide, (classes, 1))
    for code in np.unique(labels):
        own = statistics[labels == code]
        trust = len(own) / (len(own) + _LENT)
        theirs, width = _middle(own)
        centre[code] = np.where(np.isnan(theirs), middle, trust * theirs + (1 - trust) * middle)
        spread[code] = np.where(np.isnan(width), wide, trust * width + (1 - trust) * wide)
    return centre, np.maximum(spread, _FLOOR * wide)


def _middle(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust spread of each column; NaN of a column of nothing, a spread of almost 0 where all are one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a column of nothing has no median, and says so
        median = np.nanmedian if np.isnan(values).any() else np.median
        centre = median(values, 0)
        spread = _NORMAL * median(np.abs(values - centre), 0)
    return centre, np.maximum(spread, 1e-6 * np.maximum(1, np.abs(centre)))


def _tail(known: np.ndarray) -> tuple[float, float, float]:
    """Start, scale and shape of a generalised Pareto tail behind the upper tenth, by the method of moments."""
    if len(known) < 2:
        return 0.0, 1.0, 0.0
    start = float(np.quantile(known, 1 - _TAIL))
    beyond = known[known > start] - start
    if len(beyond) < 5:
        return start, max(float(np.std(known)), 1e-6), 0.0
    mean, variance = float(beyond.mean()), float(beyond.var())
    shape = float(np.clip((1 - mean**2 / max(variance, 1e-12)) / 2, 0, _HEAVIEST))
    return start, max(mean * (1 - shape), 1e-6), shape


def _surprise(values: np.ndarray, known: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """-log of the share of known values (in order) that are at least as large, by the fitted tail where that is small."""
    if not len(known):
        return np.zeros(len(values))
    start, scale, shape = (float(part) for part in tail)
    at_least = (len(known) - np.searchsorted(known, values) + 1) / (len(known) + 1)
    past = np.maximum(np.minimum(np.where(np.isnan(values), start, values), _FAR) - start, 0) / scale
    beyond = np.log1p(shape * past) / shape if shape > 1e-6 else past
    return np.minimum(np.where(values > start, beyond - np.log(_TAIL), -np.log(at_least)), _MOST)


def entropy(logits: np.ndarray) -> np.ndarray:
    """Entropy (n,) of the probabilities that logits (n, k) stand for, in nats."""
    logs = log_softmax(logits.astype(np.float64), axis=1)
    return -(np.exp(logs) * logs).sum(1)


def tail_share(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Share of a distribution, of which `known` is a sample, that is at least as large as each value; its tail is fitted."""
    ordered = np.sort(known[~np.isnan(known)])
    return np.exp(-_surprise(values, ordered, np.asarray(_tail(ordered))))
