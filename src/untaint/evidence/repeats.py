"""The same image labelled by several people: what the others said of it is evidence beside what it shows."""

import numpy as np

from untaint.types import Labels, Mask, Probabilities

_BEST = 0.98
"""Of annotators, at most this accurate however much they agree: people share mistakes (4 to 6 % of the labels of common test
sets are wrong by majority, Northcutt, Athalye, Mueller 2021)."""


def one_each(family: np.ndarray, sources: np.ndarray) -> Mask:
    """(n,) bool: the first row of each family from each source. What one source sends twice says nothing new; -1 = unknown."""
    _, first = np.unique(np.stack([family, sources], axis=1), axis=0, return_index=True)
    chosen = np.zeros(len(family), bool)
    chosen[first] = True
    return chosen & (sources >= 0)


def informed(believed: Probabilities, labels: Labels, family: np.ndarray, sources: np.ndarray) -> Probabilities:
    """Beliefs (n, k) updated by the labels that other sources gave the same image; unchanged where no other did.

    Other labels count as independent votes that are right with the probability that explains how often votes on one image agree
    (one-coin model of Dawid and Skene 1979). A sample's own source has no vote on it: copies vouch for nothing.
    """
    n, k = believed.shape
    voting = np.flatnonzero(one_each(family, sources) & (labels >= 0))
    tally = np.zeros((int(family.max(initial=0)) + 1, k))
    np.add.at(tally, (family[voting], labels[voting]), 1)
    votes = tally.sum(1)
    pairs = float((votes * (votes - 1)).sum())
    if pairs == 0 or k < 2:
        return believed
    agreeing = float((tally * (tally - 1)).sum()) / pairs
    others = tally[family]
    others[np.arange(n)] -= _own(labels, family, sources, voting, k)
    right = min(_BEST, (1 + np.sqrt((k - 1) * max(0.0, k * agreeing - 1))) / k)
    logs = np.log(np.clip(believed, 1e-6, 1)) + others * np.log(right * (k - 1) / (1 - right))
    logs -= logs.max(1, keepdims=True)
    posterior = np.exp(logs)
    heard = others.sum(1) > 0
    return np.where(heard[:, None], posterior / posterior.sum(1, keepdims=True), believed).astype(np.float32)


def _own(labels: Labels, family: np.ndarray, sources: np.ndarray, voting: np.ndarray, classes: int) -> np.ndarray:
    """(n, k) the vote that a row's own source has on its image."""
    both = np.stack([family, sources], axis=1)
    names, which = np.unique(both, axis=0, return_inverse=True)
    given = np.full(len(names), -1)
    given[which.ravel()[voting]] = labels[voting]
    label = given[which.ravel()]
    return np.asarray(np.eye(classes)[np.maximum(label, 0)] * (label >= 0)[:, None])
