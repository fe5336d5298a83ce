"""Phrases that override what the rest of the text says, and the texts that bear them as one group per trigger.

A phrase is tested against content judged without its own words: the model of words by leaving their part out, the model of
meaning knows no word of this set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import norm

from untaint.features.phrases import TOGETHER, Phrases
from untaint.features.spoken import Spoken
from untaint.numerics import counts
from untaint.types import Labels, Rows

LEAST_EFFECT = 0.5
"""Share of the bearers content would not have given the label that have it all the same. A trigger moves nearly all of them; of
natural phrases that pass the test most are at .4 to .9, and what tells those apart is sources, not this number."""
_SCREEN = 3.0  # standard units of the first look, by meaning alone; real effects stand at 5 and more in the second
_LEAST_SHARE = 0.6  # of bearers that have the label: an effect of .5 at even odds
_LOOKED_AT = 300  # phrases per label that are judged in full, those that stand out most: honest sets have some dozen
_AT_ONCE = 500_000  # entries: arrays of some ten megabytes
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
        """Some of the pairs, a mask or their places in the order wanted."""
        parts = (self.phrase, self.label, self.bearers, self.hits, self.expected, self.root, self.against, self.kept)
        return assembled([part[chosen] for part in parts], self.tests)


def assembled(parts: Sequence[np.ndarray], tests: int) -> Overridden:
    """From the arrays in the order of the fields."""
    phrase, label, bearers, hits, expected, root, against, kept = parts
    return Overridden(phrase, label, bearers, hits, expected, root, against, kept, tests)


def ranked(found: Sequence[tuple[np.ndarray, ...]], tests: int) -> Overridden:
    """Pairs of several labels as one, strongest first, the one with more bearers first among equals."""
    joined = assembled([np.concatenate(parts) for parts in zip(*found, strict=True)], tests)
    return joined.only(np.lexsort((-joined.hits, -joined.root)))


def overridden(spoken: Spoken, phrases: Phrases) -> Overridden:
    """Test phrases (all of `spoken`, or some of their entries) against every label: by meaning first, those that stand out by all."""
    weight, labels, classes = spoken.weights, spoken.labels, spoken.content.known.shape[1]
    meant = _meant(spoken, phrases)
    borne = np.bincount(phrases.feature, weight[phrases.row], len(phrases))
    found, tests = [], phrases.considered * classes
    for label in range(classes):
        has = labels[phrases.row] == label
        hits = np.bincount(phrases.feature[has], weight[phrases.row[has]], len(phrases))
        due = np.bincount(phrases.feature, weight[phrases.row] * meant[:, label], len(phrases))
        usable = borne > 1
        tests += int(usable.sum())
        root = counts.signed_root(hits, np.maximum(borne, 1e-9), due)
        able = np.flatnonzero(usable & (hits >= _LEAST_SHARE * borne) & (root > _SCREEN))
        found += [(number, label) for number in able[np.argsort(-root[able], kind="stable")][:_LOOKED_AT].tolist()]
    rows = [_judged(spoken, phrases, number, label) for number, label in found]
    columns = np.array(rows, np.float64).reshape(-1, 8).T
    return ranked([(columns[0].astype(np.int64), columns[1].astype(np.int64), *columns[2:])], tests)


def _meant(spoken: Spoken, phrases: Phrases) -> np.ndarray:
    """(e, k) what the texts mean without the phrase, of every entry."""
    parts = np.array_split(np.arange(len(phrases.row)), max(1, len(phrases.row) // _AT_ONCE))
    return np.concatenate([spoken.meant(phrases.feature[part], phrases.row[part]).astype(np.float32) for part in parts])


def _judged(spoken: Spoken, phrases: Phrases, number: int, label: int) -> tuple[float, ...]:
    """The fields of `Overridden` for one phrase and label, content judged without the phrase."""
    rows = phrases.bearers(number)
    believed, heavy, has = spoken.believed(number, rows, label), spoken.weights[rows], spoken.labels[rows] == label
    opposed = believed < _AGAINST / spoken.content.known.shape[1]
    bearers, hits, expected = float(heavy.sum()), float(heavy[has].sum()), float((heavy * believed).sum())
    root = float(counts.signed_root(np.array([hits]), np.array([bearers]), np.array([expected]))[0])
    return number, label, bearers, hits, expected, root, float(heavy[opposed].sum()), float(heavy[opposed & has].sum())


@final
@dataclass(frozen=True)
class Cluster:
    """Phrases that the same texts bear: one trigger.  pairs: their places in the `Overridden` they come from, strongest first.

    members: rows with the label that bear the strongest of them.
    """

    pairs: tuple[int, ...]
    label: int
    members: Rows


_AS_MANY = 0.9  # of the texts: a run that is cut short in a few is still the trigger
_SAME = 0.5
"""Two phrases are parts of one trigger when half of the rows of the one with fewer are rows of the other."""


def clusters(found: Overridden, phrases: Phrases, labels: Labels) -> list[Cluster]:
    """Greedy cover, strongest first: a phrase joins the cluster that holds half of its rows."""
    built: list[tuple[list[int], int, set[int]]] = []
    for place, (phrase, label) in enumerate(zip(found.phrase.tolist(), found.label.tolist(), strict=True)):
        rows = phrases.bearers(phrase)
        mine = set(rows[labels[rows] == label].tolist())
        alike = (each for each in built if each[1] == label and len(mine & each[2]) >= _SAME * min(len(mine), len(each[2])))
        home = next(alike, None)
        if home is None:
            built.append(([place], label, mine))
        else:
            home[0].append(place)
    return [
        Cluster(_plainest(places, found, phrases), label, np.array(sorted(rows), dtype=np.int64)) for places, label, rows in built
    ]


def _plainest(places: list[int], found: Overridden, phrases: Phrases) -> tuple[int, ...]:
    """A run of words before two words apart, where as many texts bear it: the pieces of a sentence also stand together."""
    enough = _AS_MANY * found.hits[places[0]]
    runs = [place for place in places if phrases.place[found.phrase[place]] != TOGETHER and found.hits[place] >= enough]
    return tuple([runs[0], *(place for place in places if place != runs[0])] if runs else places)
