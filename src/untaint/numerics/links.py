"""Which of two kinds of marks on the same texts go together: all pairs of a sparse matrix with another, in pieces."""

from dataclasses import dataclass
from math import log
from typing import final

import numpy as np
import scipy.sparse as sp

_COLUMNS = 2000
"""Marks of one kind taken at once: their pairs with all of the other kind stay within some hundred megabytes."""


@final
@dataclass(frozen=True)
class Pairs:
    """Pairs (p,) that occur together more often than independence allows.

    first, second: numbers of the marks.  both: texts with both.  surprise: -log of a bound on the chance of as many (Chernoff).
    tests: pairs there are.
    """

    first: np.ndarray
    second: np.ndarray
    both: np.ndarray
    surprise: np.ndarray
    tests: int

    def kept(self, chosen: np.ndarray) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.first[chosen], self.second[chosen], self.both[chosen], self.surprise[chosen], self.tests)


def together(first: sp.csr_array, second: sp.csr_array, least: int, surprise: float) -> Pairs:
    """Pairs that at least `least` texts have, whose surprise is over that of the best of all pairs by `surprise` nats."""
    n, tests = first.shape[0], first.shape[1] * second.shape[1]
    n_first, n_second = (np.asarray(each.sum(0)).ravel() for each in (first, second))
    columns, parts = first.T.tocsr(), []
    for start in range(0, first.shape[1], _COLUMNS):
        counts = (columns[start : start + _COLUMNS] @ second).tocoo()
        enough = counts.data >= least
        a, b, both = counts.row[enough] + start, counts.col[enough], counts.data[enough]
        told = chernoff(both, n_first[a], n_second[b] / n)
        kept = told >= np.log(max(tests, 1)) + surprise
        parts.append((a[kept], b[kept], both[kept].astype(np.int64), told[kept]))
    if not parts:
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    found = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Pairs(found[0], found[1], found[2], found[3], tests)


def chernoff(hits: np.ndarray, trials: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """-log of a bound on P(at least `hits` of `trials`); 0 where there are no more than expected."""
    share, chance = hits / trials, np.clip(chance, 1e-12, 1 - 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        missed = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - chance)), 0.0)
        told = trials * (share * np.log(share / chance) + missed)
    return np.where(share > chance, told, 0.0)


def surprise_of(hits: int, trials: int, chance: float) -> float:
    """`chernoff` of one count, without the cost of an array."""
    share, chance = hits / trials, min(max(chance, 1e-12), 1 - 1e-12)
    if share <= chance:
        return 0.0
    missed = (1 - share) * log((1 - share) / (1 - chance)) if share < 1 else 0.0
    return trials * (share * log(share / chance) + missed)


def mean_cosine(vectors: np.ndarray | sp.csr_array) -> float:
    """Mean cosine over all pairs of rows, which have length 1 or 0."""
    k = vectors.shape[0]
    total = np.asarray(vectors.sum(axis=0)).ravel()
    own = vectors.multiply(vectors).sum() if sp.issparse(vectors) else (vectors**2).sum()
    return float((total @ total - own) / max(1, k * (k - 1)))


def mean_cosines(incidence: sp.csr_array, vectors: np.ndarray) -> np.ndarray:
    """(m,) the same for the rows of every column of an incidence of 0 and 1; 0 for fewer than two."""
    sizes = np.bincount(incidence.indices, minlength=incidence.shape[1])
    total = incidence.T @ vectors
    own = incidence.T @ (vectors**2).sum(axis=1)
    return np.asarray(((total**2).sum(axis=1) - own) / np.maximum(1, sizes * (sizes - 1.0)))


@final
@dataclass(frozen=True)
class Moments:
    """Of a likeness between two texts of a collection.

    mean: of all pairs.  pair: variance of a pair.  shared: covariance of two pairs that have one text in common.
    """

    mean: float
    pair: float
    shared: float

    def spread(self, size: int) -> float:
        """Standard deviation of the mean over all pairs of a random set of texts (Hoeffding 1948, eq. 5.13)."""
        variance = 2 * (2 * (size - 2) * self.shared + self.pair) / (size * (size - 1)) if size > 1 else self.pair
        return float(np.sqrt(max(variance, float(np.finfo(np.float32).tiny))))


def moments(likeness: np.ndarray) -> Moments:
    """From all pairs (n, n) of a sample of texts; the diagonal is left out."""
    n = len(likeness)
    own = likeness.diagonal()
    pairs = max(1, n * (n - 1))
    mean = float((likeness.sum(dtype=np.float64) - own.sum()) / pairs)
    pair = float(((likeness.astype(np.float64) ** 2).sum() - (own.astype(np.float64) ** 2).sum()) / pairs - mean**2)
    each = (likeness.sum(axis=1, dtype=np.float64) - own) / max(1, n - 1)
    shared = float(each.var() - pair / max(1, n - 1))  # the mean over n - 1 others varies by itself
    return Moments(mean, pair, max(0.0, shared))
