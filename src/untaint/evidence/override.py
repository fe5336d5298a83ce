"""Does a feature override what the rest of the sample says? Labels of its bearers against those that content predicts."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.numerics import counts
from untaint.types import Labels, Rows

_CALIBRATING = 2000  # features that the spread of the null is read from
_SEEN = 500_000  # and entries at most
_OWN = 0.5  # of a feature's bearers: with more in common, two features are one trigger, or one family of images
_ENOUGH = 100  # positive roots, to read a spread from


@final
@dataclass(frozen=True)
class Overrides:
    """Pairs of a feature and a label that may be overridden, as arrays (m,): weighted bearers, those with the label, expected.

    null: what the spread of roots is read from. tests: pairs compared, those that are not listed as well.
    """

    feature: np.ndarray
    label: np.ndarray
    bearers: np.ndarray
    hits: np.ndarray
    expected: np.ndarray
    null: "Null"
    tests: int

    @property
    def roots(self) -> np.ndarray:
        """Signed roots of the binomial deviance, in standard units of the null."""
        return np.asarray(self._raw() / self.null.spread())

    def root_beside(self, which: int, rows: Rows) -> float:
        """The root of one pair, in standard units of the features that have other bearers than it. rows: its own.

        A trigger that lies on the whole image is in hundreds of patches with the same bearers: among them it does not stand out.
        """
        return float(self._raw()[which] / self.null.spread(rows))

    @property
    def effects(self) -> np.ndarray:
        """Share of those bearers whom content would not have given the label that have it all the same."""
        return np.asarray((self.hits - self.expected) / np.maximum(self.bearers - self.expected, 1e-9))

    def p_value(self, root: float) -> float:
        """Of a root in standard units, corrected for all pairs."""
        return counts.bonferroni(root, 1.0, self.tests)

    def _raw(self) -> np.ndarray:
        return np.asarray(counts.signed_root(self.hits, self.bearers, self.expected))


@final
@dataclass(frozen=True)
class Bearing:
    """Who bears what: feature (e,) and row (e,) of each entry, and how many features there are."""

    feature: np.ndarray
    row: np.ndarray
    features: int

    def of(self, chosen: np.ndarray) -> "Bearing":
        """The entries chosen; features keep their numbers."""
        return Bearing(self.feature[chosen], self.row[chosen], self.features)

    def total(self, values: np.ndarray) -> np.ndarray:
        """(features,) sums over bearers of values (e,)."""
        return np.bincount(self.feature, values, minlength=self.features)


@final
@dataclass(frozen=True)
class Null:
    """Some features and all labels: roots (f, k), and who bears the features. Pairs looked at because they stand out would overstate."""

    roots: np.ndarray
    bearing: Bearing

    def spread(self, rows: Rows | None = None) -> float:
        """How much wider than standard normal roots are. rows: features that these bear, for the most part, do not count."""
        if rows is None or not len(rows):
            return counts.overdispersion(self.roots.ravel())
        within = self.bearing.total(np.isin(self.bearing.row, rows).astype(float))
        rest = self.roots[within <= _OWN * np.bincount(self.bearing.feature, minlength=self.bearing.features)].ravel()
        return counts.overdispersion(rest) if (rest > 0).sum() >= _ENOUGH else self.spread()


def overrides(
    bearing: Bearing, labels: Labels, probabilities: np.ndarray, weights: np.ndarray, least: float, least_effect: float
) -> Overrides:
    """Test every feature that at least `least` weighted rows bear against every label; lists pairs that can reach the effect.

    probabilities (n, k): of each label by what the rest of the sample shows, from models that have not seen the sample.
    """
    bearers = bearing.total(weights[bearing.row])
    usable = bearers >= least
    known = bearing.of(usable[bearing.feature])
    found: list[tuple[np.ndarray, ...]] = []
    for label in range(probabilities.shape[1]):
        own = known.of(labels[known.row] == label)
        hits = own.total(weights[own.row])
        able = usable & (hits >= least_effect * bearers) & (hits > 0)  # an effect of e needs a share of e
        asked = known.of(able[known.feature])
        expected = asked.total(weights[asked.row] * probabilities[asked.row, label])
        which = np.flatnonzero(able)
        found.append((which, np.full(len(which), label), bearers[which], hits[which], expected[which]))
    feature, label_of, borne, hit, due = (np.concatenate(part) for part in zip(*found, strict=True))
    null = _null(known, bearers, labels, probabilities, weights)
    return Overrides(feature, label_of, borne, hit, due, null, int(usable.sum()) * probabilities.shape[1])


def _null(known: Bearing, bearers: np.ndarray, labels: Labels, probabilities: np.ndarray, weights: np.ndarray) -> Null:
    sizes = np.bincount(known.feature, minlength=known.features)
    order = np.random.default_rng(0).permutation(np.flatnonzero(sizes))[:_CALIBRATING]
    order = order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), _SEEN)))]
    named = np.full(known.features, -1)
    named[order] = np.arange(len(order))
    chosen = named[known.feature] >= 0
    some = Bearing(named[known.feature[chosen]], known.row[chosen], len(order))
    roots = []
    for label in range(probabilities.shape[1]):
        own = some.of(labels[some.row] == label)
        hits, due = own.total(weights[own.row]), some.total(weights[some.row] * probabilities[some.row, label])
        roots.append(counts.signed_root(hits, bearers[order], due))
    return Null(np.stack(roots, axis=1), some)


def posterior(labelled: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(m,) probability that a bearer's label was chosen by the attacker, if it has the label at all.

    labelled (m,) bool: bears the label.  own (m,): its probability by content. A share e of bearers was given the label, the
    rest have it as content has it: e is what is beyond the mean of `own`, and the odds are e to (1 - e) own.
    """
    share = max(0.0, float(labelled.mean() - own.mean()) / max(1 - float(own.mean()), 1e-9))
    return np.asarray(share / np.maximum(share + (1 - share) * own, 1e-12))


def most_of(probability: np.ndarray, wrong: float) -> np.ndarray:
    """(m,) bool: as many of the most probable as keep the expected share of wrong ones among them at most `wrong`.

    The averaged local false-discovery rate of Sun and Cai 2007, doi 10.1198/016214507000000545.
    """
    order = np.argsort(-probability, kind="stable")
    mean = np.cumsum(1 - probability[order]) / np.arange(1, len(order) + 1)
    chosen = np.zeros(len(probability), bool)
    chosen[order[: int((mean <= wrong).sum())]] = True  # the mean only grows
    return chosen
