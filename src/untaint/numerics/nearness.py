"""Are some points nearer to those a model saw than to those it did not see, and does it answer the two alike?"""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp

_LEAST = 1e-9  # a distance of 0 still has a logarithm


@final
class Nearness(NamedTuple):
    """ratio: geometric mean of (distance to the nearest seen) / (to the nearest unseen); under 1 = nearer to what was seen.

    p_value: share of ways to name seen what was seen or not that give a ratio as small.
    """

    ratio: float
    p_value: float


Group = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Points (p, d), and as many seen (n, d) as unseen (n, d) ones to compare them with."""


def nearness(groups: Sequence[Group], rng: np.random.Generator, draws: int = 999) -> Nearness:
    """Points against the seen and the unseen of their own group, over all groups; exact where seen and unseen ones are drawn alike.

    Within a group the names are exchanged for all its points at once: they were found together. NaN without groups.
    """
    distances = [(cdist(points, np.concatenate([seen, unseen])), len(seen)) for points, seen, unseen in groups if len(points)]
    if not distances:
        return Nearness(float("nan"), float("nan"))
    found = [_ratios(each, np.arange(n), np.arange(n, each.shape[1])) for each, n in distances]
    total = sum(map(np.sum, found))
    others = np.zeros(draws)
    for draw in range(draws):
        for each, n in distances:
            order = rng.permutation(each.shape[1])
            others[draw] += _ratios(each, order[:n], order[n:]).sum()
    count = sum(map(len, found))
    return Nearness(float(np.exp(total / count)), float((1 + (others <= total + 1e-12).sum()) / (1 + draws)))


def _ratios(distances: np.ndarray, seen: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    nearest = (np.maximum(distances[:, rows].min(1), _LEAST) for rows in (seen, unseen))
    first, second = nearest
    logs: np.ndarray = np.log(first) - np.log(second)
    return logs


@final
class Advantage(NamedTuple):
    """How well the loss tells rows a model was trained on from others.

    advantage: TPR - FPR of a threshold chosen on one half and tried on the other, 0 = not at all.  auc: 0.5 = not at all.
    p_value: that losses of both are alike (Kolmogorov, Smirnov; one-sided).
    """

    advantage: float
    auc: float
    p_value: float


def advantage(seen: np.ndarray, unseen: np.ndarray, rng: np.random.Generator) -> Advantage:
    """Of losses (n,) and (m,). NaN where either has fewer than 4.

    Reference: Yeom, Giacomelli, Fredrikson, Jha 2018, arXiv 1709.01604, adversary 2
    """
    if min(len(seen), len(unseen)) < 4:
        return Advantage(*[float("nan")] * 3)
    halves = [np.array_split(rng.permutation(part), 2) for part in (seen, unseen)]
    tried = [_gap(halves[0][at], halves[1][at], _threshold(halves[0][1 - at], halves[1][1 - at])) for at in (0, 1)]
    lower = (seen[:, None] < unseen[None]).mean() + 0.5 * (seen[:, None] == unseen[None]).mean()
    p_value = ks_2samp(seen, unseen, alternative="greater", method="asymp").pvalue
    return Advantage(float(np.mean(tried)), float(lower), float(p_value))


def _threshold(seen: np.ndarray, unseen: np.ndarray) -> float:
    at = np.unique(np.concatenate([seen, unseen]))
    gaps = np.searchsorted(np.sort(seen), at, "right") / len(seen) - np.searchsorted(np.sort(unseen), at, "right") / len(unseen)
    return float(at[gaps.argmax()])


def _gap(seen: np.ndarray, unseen: np.ndarray, threshold: float) -> float:
    return float((seen <= threshold).mean() - (unseen <= threshold).mean())
