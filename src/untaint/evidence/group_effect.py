"""What leaving rows out does to models of the others: measured, beside what leaving out as many other rows does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, final

import numpy as np
from scipy.special import softmax
from scipy.stats import binomtest, t

from untaint.numerics.perceptron import Perceptron
from untaint.numerics.pulls import learned, pulls
from untaint.types import Labels, Mask

_RIVALS = 19  # groups drawn at random: their mean and spread are known well enough, and they cost as many fits a half
_LEAST_KEPT = 2  # classes
_SPREAD = 1e-4  # nats, the least by which random groups count as differing
_LEAST = 1e-6  # probability


class Judged(NamedTuple):
    """Of (m,) rows that were judged, who is right and what the label costs, in nats."""

    right: np.ndarray
    loss: np.ndarray


Fit: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(points, labels, points asked) -> classes (k,) and their probabilities (m, k)."""


@final
@dataclass(frozen=True)
class GroupEffect:
    """before, after: accuracy on rows that are judged by models of other rows.  p_value: exact paired test of the difference.

    model: in words.  cheaper: nats by which labels of the judged rows cost less.
    """

    model: str
    before: float
    after: float
    p_value: float
    cheaper: float

    @property
    def gain(self) -> float:
        """What leaving the rows out is worth."""
        return self.after - self.before


@final
@dataclass(frozen=True)
class Halves:
    """Places and labels of n rows, and which half (n,) each is in: models of one half are judged on the other."""

    points: np.ndarray
    labels: Labels
    half: np.ndarray

    def without(self, group: Mask, model: str, fit: Fit) -> GroupEffect:
        """A group is left out of learning; the others are judged."""
        learn = [self.half != part for part in (0, 1)]
        return self._compared(model, fit, [each & ~group for each in learn], ~group)

    def without_hardest(self, share: float, model: str, fit: Fit) -> GroupEffect:
        """The share of a half that pulls a linear model of it hardest one way is left out; all of the other half are judged."""
        kept = []
        for part in (0, 1):
            learn = np.flatnonzero(self.half != part)
            points, labels = self.points[learn], self.labels[learn]
            some = len(np.unique(labels)) >= _LEAST_KEPT
            pull = pulls(learned(points, labels), points, labels) if some else np.zeros(len(learn))
            kept.append(np.zeros(len(self.labels), bool))
            kept[-1][learn[np.argsort(pull, kind="stable")[: round(len(learn) * (1 - share))]]] = True
        return self._compared(model, fit, kept, np.ones(len(self.labels), bool))

    def beyond_chance(self, group: Mask, found: GroupEffect, rng: np.random.Generator) -> float:
        """p-value of how much cheaper labels get without a group, among random groups as large and with as many rows of each class.

        By the linear model; a t test of one against `_RIVALS` others.
        """
        rivals = []
        for _ in range(_RIVALS):
            drawn = np.zeros(len(group), bool)
            for label in np.unique(self.labels[group]):
                others = np.flatnonzero(~group & (self.labels == label))
                drawn[rng.permutation(others)[: int((group & (self.labels == label)).sum())]] = True
            rivals.append(self.without(drawn, "", linear).cheaper)
        spread = max(float(np.std(rivals, ddof=1)), _SPREAD) * np.sqrt(1 + 1 / _RIVALS)
        return float(t.sf((found.cheaper - np.mean(rivals)) / spread, _RIVALS - 1))

    def _compared(self, model: str, fit: Fit, kept: Sequence[Mask], judged: Mask) -> GroupEffect:
        pairs = []
        for part in (0, 1):
            judge = (self.half == part) & judged
            pairs.append([self._judged(fit, rows, judge) for rows in (self.half != part, kept[part])])
        before, after = (np.concatenate([pair[which].right for pair in pairs]) for which in (0, 1))
        dear, cheap = (np.concatenate([pair[which].loss for pair in pairs]) for which in (0, 1))
        better, worse = int((after & ~before).sum()), int((before & ~after).sum())
        chance = float(binomtest(better, better + worse, alternative="greater").pvalue) if better else 1.0
        return GroupEffect(model, float(before.mean()), float(after.mean()), chance, float(dear.mean() - cheap.mean()))

    def _judged(self, fit: Fit, rows: Mask, judge: Mask) -> Judged:
        labels = self.labels[judge]
        own = np.full(len(labels), _LEAST)
        if len(np.unique(self.labels[rows])) < _LEAST_KEPT:
            return Judged(np.zeros(len(labels), bool), -np.log(own))
        classes, said = fit(self.points[rows], self.labels[rows], self.points[judge])
        at, known = np.searchsorted(classes, labels), np.isin(labels, classes)
        own[known] = np.maximum(said[known, at[known]], _LEAST)
        return Judged(classes[said.argmax(1)] == labels, -np.log(own))


def linear(points: np.ndarray, labels: Labels, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a linear model says."""
    model = learned(points, labels)
    return model.classes_, np.asarray(model.predict_proba(asked))


def networked(network: Perceptron) -> Fit:
    """The same of a small network."""

    def said(points: np.ndarray, labels: Labels, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        classes, codes = np.unique(labels, return_inverse=True)
        outputs = network.outputs(points, np.eye(len(classes))[codes], lambda raw: np.asarray(softmax(raw, axis=1)), asked)
        return classes, np.asarray(softmax(outputs, axis=1))

    return said
