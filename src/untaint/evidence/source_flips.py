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

_LEAST_ROWS = 10  # of a source that is tested: fewer hold too few flips to be told from honest slips
_MOST_CELLS = 5_000_000  # of a count by source and pair: 40 MB a table
_MOST_TESTED = 20  # sources tested in full, those furthest from everybody else's rates: each costs a pass over all counts


@final
@dataclass(frozen=True)
class Confusions:
    """Counts by source: rows that look like a and are labelled b. every, listed (sources, k, k); listed: confident ones.

    codes (sources,): which source a table is of. -1: all those with few rows together, counted among the others only.
    """

    every: np.ndarray
    listed: np.ndarray
    codes: np.ndarray


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


def confusions(sources: np.ndarray, looks: np.ndarray, labels: np.ndarray, listed: np.ndarray, classes: int) -> Confusions:
    """Count usable rows with known sources. The largest sources have a table each, the rest share one."""
    names, table, sizes = np.unique(sources, return_inverse=True, return_counts=True)
    most = max(2, _MOST_CELLS // classes**2)
    ranked = np.argsort(-sizes, kind="stable")[:most]
    own = np.sort(ranked[sizes[ranked] >= _LEAST_ROWS])
    codes = names[own] if len(own) == len(names) else np.append(names[own], -1)
    place = np.full(len(names), len(own))
    place[own] = np.arange(len(own))
    counted = [np.zeros((len(codes), classes, classes)) for _ in range(2)]
    np.add.at(counted[0], (place[table], looks, labels), 1)
    np.add.at(counted[1], (place[table[listed]], looks[listed], labels[listed]), 1)
    return Confusions(counted[0], counted[1], codes)


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
    """For each suspicious source: confident confusions of unlike classes beyond everybody else's.

    unlike: (k, k) pairs (looks, label), chosen without looking at who is confused (`unlike_pairs`).
    """
    classes, sent = counts.listed.shape[1], counts.every.sum(1)
    observed = (counts.listed * unlike).sum((1, 2))
    apart = (observed[:, None], (_due(counts.listed, sent) * unlike).sum((1, 2))[:, None])
    found = []
    for source in _suspicious(counts, *apart):
        others = np.arange(len(sent)) != source
        rates = counts.listed[others].sum(0) / np.maximum(sent[others].sum(0), 1)
        expected = (sent[:, None, :] * rates * unlike).sum((1, 2)) + _PRIOR * sent.sum(1) / max(sent[others].sum(), 1)
        mix = counts.every[source].sum(1)
        reach = float((mix * unlike.sum(1)).sum() / max(mix.sum(), 1) / (classes - 1))
        share = (observed[source] - expected[source]) / max(mix.sum() * reach, 1)
        seen = float((counts.listed[others].sum(0) * unlike).sum())
        p_value = min(1.0, 2 * _tested(counts) * _chance(observed, expected, source, seen))
        name = int(counts.codes[source])
        found.append(Excess(name, p_value, float(share), int(observed[source]), float(expected[source])))
    return found


def aimed_flips(counts: Confusions) -> list[Excess]:
    """For each suspicious source and ordered pair: rows that look like a, labelled b, beyond what its difficulty explains."""
    classes, sent = counts.every.shape[1], counts.every.sum(1)
    off = ~np.eye(classes, dtype=bool)
    found = []
    for source in _suspicious(counts, counts.every[:, off], _due(counts.every, sent)[:, off]):
        others = np.arange(len(sent)) != source
        rates = _rates(counts.every[others].sum(0), sent[others].sum(0))
        expected = sent[:, None, :] * rates
        expected *= _difficulty(counts.every, expected, off)
        name = int(counts.codes[source])
        best = Excess(name, 1.0, 0.0, 0, 0.0)
        for a, b in np.argwhere(off & (counts.every[source] > expected[source])):
            one = counts.every[:, a, b], expected[:, a, b]
            chance = _chance(*one, source, float(one[0][others].sum()))
            p_value = min(1.0, 2 * _tested(counts) * int(off.sum()) * chance)
            share = (one[0][source] - one[1][source]) / max(counts.every[source, a].sum(), 1)
            if (p_value, -share) < (best.p_value, -best.share):
                best = Excess(name, p_value, float(share), int(one[0][source]), float(one[1][source]), (int(a), int(b)))
        found.append(best)
    return found


def _tested(counts: Confusions) -> int:
    return int((counts.codes >= 0).sum())


def _due(counted: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """(sources, k, k) counts that everybody else's rates give for what each source sent."""
    rates = (counted.sum(0) - counted) / np.maximum(sent.sum(0) - sent, 1)[:, None, :]
    return np.asarray(sent[:, None, :] * rates)


def _suspicious(counts: Confusions, observed: np.ndarray, due: np.ndarray) -> list[int]:
    """Tables of the sources whose largest excess of m counts is most unusual, at most `_MOST_TESTED`. observed, due (sources, m).

    Only a choice of what to look at closely: the correction is for all sources.
    """
    unusual = ((observed - due) / np.sqrt(due + _PRIOR)).max(1, initial=0.0)
    unusual[counts.codes < 0] = -np.inf
    ranked = np.argsort(-unusual, kind="stable")[:_MOST_TESTED]
    return sorted(ranked[counts.codes[ranked] >= 0].tolist())


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
