"""Did one source flip labels? Its confusions against what everybody else's rates predict for its own mix of classes.

How often samples labelled b look like a depends on the two classes, not on how many of each a source sent: so a source is
compared label by label. Sources differ in difficulty as well, which raises natural confusions (shirts and T-shirts, both
ways); flips at random raise confusions of unlike classes, aimed flips raise one direction of one pair.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import nbinom

from untaint.types import Labels

_PRIOR = 0.5  # of a count: a confusion nobody else shows is rare, not impossible

_STEADY = 5.0  # cases added to both sides of a ratio of small counts
_MEDIAN = 0.455
"""Of a squared standard normal."""


@final
@dataclass(frozen=True)
class Confusions:
    """Counts by source: rows that look like a and are labelled b. every, listed (sources, k, k); listed: confident ones."""

    every: np.ndarray
    listed: np.ndarray


@final
@dataclass(frozen=True)
class Excess:
    """What one source has too much of. p_value: corrected for all sources, pairs and both kinds.

    pair: (looks, label) of aimed flips, None = at random.  share: the excess as a share of the source's rows, for aimed flips
    of its rows that look like the first class.
    """

    source: int
    p_value: float
    share: float
    observed: int
    expected: float
    pair: tuple[int, int] | None = None


def confusions(
    sources: np.ndarray, looks: np.ndarray, labels: np.ndarray, listed: np.ndarray, shape: tuple[int, int]
) -> Confusions:
    """Count usable rows with known sources. shape: (sources, classes)."""
    number, classes = shape
    counted = [np.zeros((number, classes, classes)) for _ in range(2)]
    np.add.at(counted[0], (sources, looks, labels), 1)
    np.add.at(counted[1], (sources[listed], looks[listed], labels[listed]), 1)
    return Confusions(*counted)


def unlike_pairs(probabilities: np.ndarray, labels: Labels) -> np.ndarray:
    """(k, k) the half of all pairs (looks, label) whose classes the judge confuses least, judged by rows it is content with.

    Rows whose label agrees with their content were not flipped, so flips do not choose the pairs they are counted on.
    """
    classes = probabilities.shape[1]
    leaning = np.zeros((classes, classes))
    agreed = probabilities.argmax(1) == labels
    for label in range(classes):
        rows = agreed & (labels == label)
        leaning[:, label] = probabilities[rows].mean(0) if rows.any() else 1
    both, off = leaning + leaning.T, ~np.eye(classes, dtype=bool)
    return np.asarray(off & (both <= np.median(both[off])))


def random_flips(counts: Confusions, unlike: np.ndarray) -> list[Excess]:
    """For each source: confident confusions of unlike classes beyond everybody else's.

    unlike: (k, k) pairs (looks, label), chosen without looking at who is confused (`unlike_pairs`).
    """
    number, classes = counts.listed.shape[:2]
    found = []
    for source in range(number):
        sent, others = counts.every.sum(1), np.arange(number) != source
        rates = counts.listed[others].sum(0) / np.maximum(sent[others].sum(0), 1)
        expected = (sent[:, None, :] * rates * unlike).sum((1, 2)) + _PRIOR * sent.sum(1) / sent[others].sum()
        observed = (counts.listed * unlike).sum((1, 2))
        mix = counts.every[source].sum(1)
        reach = float((mix * unlike.sum(1)).sum() / max(mix.sum(), 1) / (classes - 1))
        share = (observed[source] - expected[source]) / max(mix.sum() * reach, 1)
        seen = float((counts.listed[others].sum(0) * unlike).sum())
        p_value = min(1.0, 2 * number * _chance(observed, expected, source, seen))
        found.append(Excess(source, p_value, float(share), int(observed[source]), float(expected[source])))
    return found


def aimed_flips(counts: Confusions) -> list[Excess]:
    """For each source and ordered pair: samples that look like a and are labelled b, beyond what its difficulty explains."""
    number, classes = counts.every.shape[:2]
    off = ~np.eye(classes, dtype=bool)
    found = []
    for source in range(number):
        sent, others = counts.every.sum(1), np.arange(number) != source
        rates = _rates(counts.every[others].sum(0), sent[others].sum(0))
        expected = sent[:, None, :] * rates
        expected *= _difficulty(counts.every, expected, off)
        best = Excess(source, 1.0, 0.0, 0, 0.0)
        for a, b in np.argwhere(off & (counts.every[source] > expected[source])):
            one = counts.every[:, a, b], expected[:, a, b]
            p_value = min(1.0, 2 * number * int(off.sum()) * _chance(*one, source, float(one[0][others].sum())))
            share = (one[0][source] - one[1][source]) / max(counts.every[source, a].sum(), 1)
            if (p_value, -share) < (best.p_value, -best.share):
                best = Excess(source, p_value, float(share), int(one[0][source]), float(one[1][source]), (int(a), int(b)))
        found.append(best)
    return found


def _difficulty(every: np.ndarray, expected: np.ndarray, off: np.ndarray) -> np.ndarray:
    """(sources, k, k) by what factor to raise expectations: a difficult source errs more everywhere, and both ways.

    The larger of its confusions over all other pairs, and over the same pair the other way, as a ratio to expectations.
    """
    seen, due = (every * off).sum((1, 2), keepdims=True), (expected * off).sum((1, 2), keepdims=True)
    elsewhere = (seen - every) / np.maximum(due - expected, 1)
    reverse = (every + _STEADY) / (expected + _STEADY)
    return np.asarray(np.maximum(1.0, np.maximum(elsewhere, reverse.transpose(0, 2, 1))))


def _rates(counts: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """(k, k) how often a row labelled b is counted as looking like a."""
    return np.asarray((counts + _PRIOR) / (sent + 2 * _PRIOR))


def _chance(observed: np.ndarray, expected: np.ndarray, source: int, seen: float) -> float:
    """Chance of so many in one source, given that the rest showed `seen`: a rate known from few cases is known badly.

    Poisson counts whose rate has a gamma posterior (negative binomial), widened by how much the others usually differ among
    each other: the median, since one honest sloppy source among them must not hide a flipping one.
    """
    others = np.arange(len(observed)) != source
    apart = (observed - expected)[others] ** 2 / np.maximum(expected[others], 1)
    spread = max(1.0, float(np.median(apart)) / _MEDIAN)
    size, mean = (seen + _PRIOR) / spread, float(expected[source]) / spread
    return float(nbinom.sf(np.ceil(observed[source] / spread) - 1, size, size / (size + mean)))
