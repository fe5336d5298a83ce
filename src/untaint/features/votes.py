"""What an image shows, by the vote of its neighbourhood: too coarse for a few hundred intruders to outvote anybody.

Each of the five coarse views is cut into about a hundred clusters without looking at labels; an image's label is judged by
the labels of the three nearest clusters, its own left out. Poison that already is its own neighbourhood (5 to 8 % of a set,
half of its class) still sits among hundreds of images of the class it shows.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.features.duplicates import NearCopies
from untaint.features.encoded import Encoded
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics import clusters
from untaint.types import Labels, Mask, Pixels

_LEVEL = 0.15
"""A second lowest vote under this contradicts the label, for ten classes: 7-9 % of honest Fashion-MNIST and 5 % of honest MNIST
labels, 93-99 % of patches and blends at 1 %, 90 % of patches at 5 %, 65-85 % of warps at 8 and 5 % (a flexible judge is at 13 %)."""
_CLUSTERS = 128
"""64 to 256 contradict the same share of poison within 5 points; fewer lose accuracy, more let poison have its own clusters."""
_PER_CLASS = 12  # clusters a class should have when there are many classes
_ROWS_PER_CLUSTER = 20  # a vote of fewer is no vote
_NEAREST = 3


@final
@dataclass(frozen=True)
class Votes:
    """own: (n,) second lowest vote, over views, for the sample's own label; NaN = not assessed.

    probabilities: (n, k) mean vote over views.  foreign: (k,) what `own` is on average when an image of another class is
    given this label.  level: (n,) own below this = contradicted; lower for rare classes, which win few votes anywhere.
    """

    own: np.ndarray
    probabilities: np.ndarray
    foreign: np.ndarray
    level: np.ndarray

    @property
    def contradicted(self) -> np.ndarray:
        """(n,) bool: the neighbourhood speaks against the label; False where not assessed."""
        return np.nan_to_num(self.own, nan=1.0) < self.level

    def kept(self, labels: Labels) -> Mask:
        """Rows whose label their neighbourhood supports: the honest part, as far as coarse content can tell."""
        return (self.probabilities.argmax(1) == labels) & ~self.contradicted & (labels >= 0)


def vote_level(classes: int) -> float:
    """The level for k classes: `_LEVEL` for ten, 1.5 times chance, at most one in four."""
    return float(min(0.25, _LEVEL * 10 / classes))


@feature(stored=True)
def votes(pixels: Pixels, labels: Labels, near_copies: NearCopies, encoded: Encoded, settings: Settings) -> Votes:
    """Cluster votes on the label of every usable row; a family of near-copies has one vote together."""
    classes = int(labels.max()) + 1
    rows = np.flatnonzero(labels >= 0)
    count = int(max(2, min(max(_CLUSTERS, _PER_CLASS * classes), len(rows) // _ROWS_PER_CLUSTER)))
    weights = near_copies.weights[rows]
    cast = []
    for number, view in enumerate(encoded.looks(pixels, rows)):
        rng = np.random.default_rng([settings.seed, number])
        nearest = clusters.nearest(view, clusters.centres(view, count, rng), min(_NEAREST, count))
        cast.append(_tallied(nearest, labels[rows], weights, count, classes))
        settings.report_progress("asking neighbours", number + 1, 5)
    ordered = np.sort(np.stack(cast), axis=0)[1]
    own = ordered[np.arange(len(rows)), labels[rows]]
    shares = np.bincount(labels[rows], weights, minlength=classes) / weights.sum()
    inside = np.eye(classes, dtype=bool)[labels[rows]]
    foreign = np.where(inside, 0, ordered).sum(0) / np.maximum((~inside).sum(0), 1)
    return Votes(
        _scattered(own, rows, len(labels)),
        _scattered(np.mean(cast, axis=0), rows, len(labels)),
        foreign.astype(np.float32),
        (vote_level(classes) * np.minimum(1, classes * shares))[np.maximum(labels, 0)].astype(np.float32),
    )


def _tallied(nearest: np.ndarray, labels: Labels, weights: np.ndarray, count: int, classes: int) -> np.ndarray:
    """(m, k) share of each label among the clusters nearest to each row, the row itself left out."""
    tally = np.zeros((count, classes))
    for column in nearest.T:
        np.add.at(tally, (column, labels), weights)
    votes = tally[nearest].sum(1)
    votes[np.arange(len(labels)), labels] -= nearest.shape[1] * weights
    shares: np.ndarray = (votes / np.maximum(votes.sum(1, keepdims=True), 1e-9)).astype(np.float32)
    return shares


def _scattered(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    full = np.full((n, *values.shape[1:]), np.nan, np.float32)
    full[rows] = values
    return full
