"""Phrases that override what the rest of the text says, and the texts that bear them as one group per trigger.

A phrase is tested against content judged without its own words: the model of words by leaving their part out, the model of
meaning knows no word of this set.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import softmax
from scipy.stats import norm

from untaint.features.phrases import Phrases
from untaint.features.text_content import TextContent
from untaint.numerics import counts
from untaint.types import Labels, Rows

LEAST_EFFECT = 0.5
"""Share of the bearers content would not have given the label that have it all the same. A trigger moves nearly all of them; of
natural phrases that pass the test most are at .4 to .9, and what tells those apart is sources, not this number."""
_SCREEN = 3.0  # standard units of the first look, by meaning alone; real effects stand at 5 and more in the second
_LEAST_SHARE = 0.6  # of bearers that have the label: an effect of .5 at even odds
_AGAINST = 0.5
"""Content speaks against a label that is less probable than this share of chance."""


@final
@dataclass(frozen=True)
class Overridden:
    """Pairs of phrase and label, strongest first, as arrays (m,).

    bearers, hits, expected: weighted texts, those with the label, those content would give it.  root: standard units.
    against, kept: bearers whose content speaks against the label, and how many of those have it.  tests: pairs compared.
    """

    phrase: np.ndarray
    label: np.ndarray
    bearers: np.ndarray
    hits: np.ndarray
    expected: np.ndarray
    root: np.ndarray
    against: np.ndarray
    kept: np.ndarray
    tests: int

    def __len__(self) -> int:
        return len(self.phrase)

    @property
    def effect(self) -> np.ndarray:
        """Share of the bearers content would not have given the label that have it."""
        return np.asarray((self.hits - self.expected) / np.maximum(self.bearers - self.expected, 1e-9))

    @property
    def p_value(self) -> np.ndarray:
        """(m,) corrected for every pair that was compared."""
        return np.minimum(1.0, norm.sf(self.root) * self.tests)

    def only(self, chosen: np.ndarray) -> "Overridden":
        """Some of the pairs."""
        parts = (self.phrase, self.label, self.bearers, self.hits, self.expected, self.root, self.against, self.kept)
        return Overridden(*(part[chosen] for part in parts), self.tests)


def overridden(phrases: Phrases, content: TextContent, labels: Labels, weights: np.ndarray) -> Overridden:
    """Test every phrase against every label. weights (n,): what each text counts, so that copies are one observation."""
    weight = np.where(labels >= 0, weights, 0.0)
    borne = np.bincount(phrases.feature, weight[phrases.row], len(phrases))
    found, tests = [], 0
    for label in range(content.foreign.shape[1]):
        has = labels[phrases.row] == label
        hits = np.bincount(phrases.feature[has], weight[phrases.row[has]], len(phrases))
        due = np.bincount(phrases.feature, weight[phrases.row] * content.foreign[phrases.row, label], len(phrases))
        usable = borne > 1
        tests += int(usable.sum())
        able = usable & (hits >= _LEAST_SHARE * borne) & (counts.signed_root(hits, np.maximum(borne, 1e-9), due) > _SCREEN)
        found.append(_second(phrases, content, labels, weight, label, able))
    joined = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    order = np.argsort(-joined[5], kind="stable")
    return Overridden(*(part[order] for part in joined), tests)


def _second(
    phrases: Phrases, content: TextContent, labels: Labels, weight: np.ndarray, label: int, able: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The fields of `Overridden` for some phrases and one label, content judged without the phrase."""
    entries = np.flatnonzero(able[phrases.feature])
    feature, row = phrases.feature[entries], phrases.row[entries]
    believed = without(phrases, content, feature, row)[:, label]
    heavy, has = weight[row], labels[row] == label
    opposed = believed < _AGAINST / content.foreign.shape[1]

    def summed(chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.bincount(feature[chosen], values[chosen], len(phrases))[which]

    which, everyone = np.flatnonzero(able), np.ones(len(row), bool)
    bearers, hits, expected = summed(everyone, heavy), summed(has, heavy), summed(everyone, heavy * believed)
    root = counts.signed_root(hits, bearers, expected)
    return which, np.full(len(which), label), bearers, hits, expected, root, summed(opposed, heavy), summed(opposed & has, heavy)


def without(phrases: Phrases, content: TextContent, feature: np.ndarray, row: np.ndarray) -> np.ndarray:
    """(e, k) probabilities of every label for bearers (e,) of phrases (e,), the words of the phrase left out of the judgement."""
    logits = content.logits[row].copy()
    fold = content.fold[row]
    for step in range(phrases.words.shape[1]):
        word = phrases.words[feature, step]
        said = np.flatnonzero((word >= 0) & (fold >= 0))
        if len(said):
            count = np.asarray(content.counts[row[said], word[said]]).ravel().astype(np.float64)
            logits[said] -= content.weights[fold[said], :, word[said]] * count[:, None]
    return np.asarray(softmax(logits, axis=1))


@final
@dataclass(frozen=True)
class Cluster:
    """Phrases that the same texts bear: one trigger.  pairs: their places in the `Overridden` they come from, strongest first.

    members: rows with the label that bear the strongest of them, or most of what the others share with it.
    """

    pairs: tuple[int, ...]
    label: int
    members: Rows


_SAME = 0.5
"""Two phrases are parts of one trigger when half of the rows of the one with fewer are rows of the other."""


def clusters(found: Overridden, phrases: Phrases, labels: Labels) -> list[Cluster]:
    """Greedy cover, strongest first: a phrase joins the cluster that holds half of its rows."""
    starts = np.searchsorted(phrases.feature, np.arange(len(phrases) + 1))
    built: list[tuple[list[int], int, set[int]]] = []
    for place, (phrase, label) in enumerate(zip(found.phrase.tolist(), found.label.tolist(), strict=True)):
        rows = phrases.row[starts[phrase] : starts[phrase + 1]]
        mine = set(rows[labels[rows] == label].tolist())
        home = next(
            (each for each in built if each[1] == label and len(mine & each[2]) >= _SAME * min(len(mine), len(each[2]))), None
        )
        if home is None:
            built.append(([place], label, mine))
        else:
            home[0].append(place)
    return [Cluster(tuple(places), label, np.array(sorted(rows), dtype=np.int64)) for places, label, rows in built]
