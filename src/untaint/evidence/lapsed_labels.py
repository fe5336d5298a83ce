"""What share of a list of doubtful labels is wrong for no reason, told from the rows a judge is surest of: an interval."""

import numpy as np

from untaint.numerics.lapse_profile import SHARES, profile
from untaint.types import Labels, Mask, Probabilities

_ASKED = 20_000  # rows that the curve is fitted to; more change nothing
_LEAST = 1e-6  # probability
_FEW = 3
"""Classes up to which each pair has its own curve: honest errors that no column explains go one way (customers who leave for reasons of
their own), flips at random go every way, so the pair with fewest bounds them. Of more classes one curve tells: few errors go each way."""
_HONEST = 0.02
"""Share of labels that may honestly be wrong for no reason both ways, in sets of few classes: real ones show 0 to 0.02 the lesser way
and up to 0.04 the other."""
_APART = 5.4 / 2
"""Logarithm of the likelihood by which a share may be worse than the best: twice what nineteen in twenty ask for (chi-squared of 1
degree), for curves are never quite what they are fitted to. Chosen on six invented tables, letters, credit, breast cancer and attrition."""
_DRAWN = 1.3  # standard deviations of what a list of so many rows happens to hold, beside the doubt about the rate


def lapsed_precision(probabilities: Probabilities, labels: Labels, listed: Mask, listable: np.ndarray) -> tuple[float, float]:
    """Between what shares of the listed rows flips at random lie, nineteen times in twenty; NaN, NaN where nothing is listed.

    probabilities: (n, k) of every label by models that have not seen the row.  listable: (k, k) rows that look like c and would be
    listed if their label were y.
    """
    count = int(listed.sum())
    if count == 0:
        return float("nan"), float("nan")
    rows = np.random.default_rng(len(labels)).permutation(len(labels))[:_ASKED]
    logs, classes = np.log(np.maximum(probabilities[rows], _LEAST)), probabilities.shape[1]
    low, high = _by_pairs(logs, labels[rows]) if classes <= _FEW else _together(logs, labels[rows])
    possible = float(listable[~np.eye(classes, dtype=bool)].sum()) / max(classes - 1, 1)
    return _widened(low * possible / count, count, -1), _widened(high * possible / count, count, 1)


def _together(logs: np.ndarray, labels: Labels) -> tuple[float, float]:
    """Least and largest share of labels flipped: of each row only whether its label is the likeliest counts."""
    ordered = np.sort(logs, axis=1)
    found = profile(ordered[:, -1] - ordered[:, -2], logs.argmax(1) != labels)
    likely = np.flatnonzero(found.max() - found <= _APART)
    return _share(likely[0]), _share(likely[-1])


def _by_pairs(logs: np.ndarray, labels: Labels) -> tuple[float, float]:
    """The same; flips have one share in all pairs, honest labels wrong for no reason any beside it, but few in the least of them."""
    classes, looks = logs.shape[1], logs.argmax(1)
    found = []
    for a, b in np.argwhere(~np.eye(classes, dtype=bool)):
        chosen = np.flatnonzero((looks == a) & np.isin(labels, (a, b)))
        found.append(profile(logs[chosen, a] - logs[chosen, b], labels[chosen] == b))
    pairs = np.array(found).reshape(-1, len(SHARES))
    beside = np.maximum.accumulate(pairs[:, ::-1], axis=1)[:, ::-1]  # the best of a share and all larger ones
    within = np.searchsorted(SHARES, SHARES + _HONEST, "right")
    few = np.stack([pairs[:, place : max(end, place + 1)].max(1) for place, end in enumerate(within)], axis=1)
    most, least = beside.sum(0), beside.sum(0) + (few - beside).max(0)
    high = np.flatnonzero(most.max() - most <= _APART)[-1]
    low = np.flatnonzero(least.max() - least <= _APART)[0]
    return _share(low) * (classes - 1), _share(high) * (classes - 1)


def _share(place: np.intp) -> float:
    return float(SHARES[place]) if place else 0.0


def _widened(share: float, count: int, side: int) -> float:
    """A share by what a list of so many rows may hold more or less of it by chance."""
    share = min(1.0, share)
    return float(np.clip(share + side * _DRAWN * np.sqrt(max(share * (1 - share), 0.25 / count) / count), 0, 1))
