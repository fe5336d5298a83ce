"""Phrases whose texts all have one label and are more alike than those of any other phrase: a flood, where nobody knows who sent what.

How alike texts are is the mean cosine of what they mean. Texts with a common word are always somewhat alike, on one topic say; so a
phrase is compared with other phrases as frequent. Near-copies count once: boilerplate is alike by itself.
"""

from typing import final

import numpy as np
from scipy.stats import norm

from untaint.evidence.phrase_overrides import Overridden, ranked
from untaint.features.spoken import Spoken
from untaint.numerics import counts

LEAST_PURE = 0.95
"""Share of the bearers with one label. Honest texts on one subject differ in opinion: a telling word of film snippets has .93."""
_FEWEST = 8.0  # distinct texts; of fewer, likeness is chance
_SIGNIFICANT = 0.01  # of the label, corrected for all phrases and labels: the question is asked of phrases that have one
_COMPARED = 200
"""Other phrases to compare with, those nearest in number of texts: parts of the same flood left out, half of them at least must remain."""
_QUANTILES = (0.9, 0.97)
_SHARED = 0.3  # of a phrase's bearers, up to which it is not a part of another


@final
class Likeness:
    """How alike the texts of phrases are, computed when asked."""

    def __init__(self, spoken: Spoken) -> None:
        self._spoken = spoken
        self._middle = spoken.meaning.middle(np.flatnonzero(spoken.weights > 0))
        self._texts = np.bincount(spoken.phrases.feature, spoken.weights[spoken.phrases.row], len(spoken.phrases))
        self._known: dict[int, float] = {}

    def cosine(self, phrase: int) -> float:
        """Mean cosine of pairs of distinct texts; 0 without a model of meaning."""
        if phrase not in self._known:
            rows = self._spoken.bearers(phrase)
            weight, vectors = self._spoken.weights[rows].astype(np.float64), self._spoken.meaning.of(rows) - self._middle
            own = float((weight**2 * (vectors**2).sum(1)).sum())
            pairs = max(float(weight.sum() ** 2 - (weight**2).sum()), 1e-9)
            self._known[phrase] = (float(np.square(weight @ vectors).sum()) - own) / pairs
        return self._known[phrase]

    def p_value(self, phrase: int) -> float:
        """One-sided, among phrases about as frequent that other texts bear; 1 where one of them is as alike, or too few are there."""
        spoken, count = self._spoken, self._texts[phrase]
        shared = spoken.phrases.shared(spoken.bearers(phrase))
        usable = np.flatnonzero((self._texts >= _FEWEST) & (shared <= _SHARED * spoken.phrases.borne))
        nearest = usable[np.argsort(np.abs(np.log(self._texts[usable] / count)), kind="stable")][:_COMPARED]
        others = np.array([self.cosine(int(number)) for number in nearest])
        if len(others) < _COMPARED / 2 or others.max() >= self.cosine(phrase):
            return 1.0
        middle = float(np.median(others))
        width = max((float(np.quantile(others, q)) - middle) / float(norm.ppf(q)) for q in _QUANTILES)
        return float(norm.sf((self.cosine(phrase) - middle) / max(width, 1e-6)))


def one_label(spoken: Spoken) -> Overridden:
    """Phrases that hardly a text of another label bears, expected from the shares of labels; the most surprising first."""
    phrases, weights, labels = spoken.phrases, spoken.weights, spoken.labels
    classes = spoken.content.known.shape[1]
    sums = np.bincount(labels[labels >= 0], weights[labels >= 0], classes)
    share = sums / sums.sum()
    borne = np.bincount(phrases.feature, weights[phrases.row], len(phrases))
    tests, found = int((borne > 1).sum()) * classes, []
    for label in range(classes):
        has = labels[phrases.row] == label
        hits = np.bincount(phrases.feature[has], weights[phrases.row[has]], len(phrases))
        which = np.flatnonzero((borne >= _FEWEST) & (hits >= LEAST_PURE * borne))
        expected = borne[which] * share[label]
        root, none = counts.signed_root(hits[which], borne[which], expected), np.zeros(len(which))
        kept = norm.sf(root) * tests <= _SIGNIFICANT
        parts = (which, np.full(len(which), label), borne[which], hits[which], expected, root, none, none)
        found.append(tuple(values[kept] for values in parts))
    return ranked(found, tests)
