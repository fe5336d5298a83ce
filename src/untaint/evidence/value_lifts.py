"""How strange is it that values stand together at all? Whoever plants a conjunction writes values together that hardly met before.

Tests of conjunctions are corrected for how many there are. Which of them somebody may have written is told without a look at labels,
by how much more often values stand together than each alone makes likely; the strangest may cost little of the error that a test
allows, the rest share what is left: Genovese, Roeder, Wasserman 2006, doi 10.1093/biomet/93.3.509. The r-th strangest of N pairs is
corrected for r times the N-th harmonic number, so that all of them together keep to the error.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import final

import numpy as np
from scipy.sparse import csr_matrix, triu
from scipy.special import comb, xlogy
from scipy.stats import norm

from untaint.features.items import Items

LOOKED_AT = 20_000  # rows in which pairs are counted: poison of half a per cent is a hundred of them
_LEAST = 4  # rows with a pair; what fewer have no test can tell from chance
_COMPARED = 30  # other pairs of the same columns; where they are fewer, all pairs are compared with
_TAIL = 0.3  # pairs beyond a quantile, on average, under which it is one pair's whim
_QUANTILES = (0.9, 0.97, 0.99)  # where the width of the null is read, as for phrases
_SIZES = 3  # conjunctions of one, two, three values share the error


@final
@dataclass(frozen=True)
class Lifts:
    """items: of all rows.  rows: those looked at, whatever their labels."""

    items: Items
    rows: np.ndarray

    def tests(self, chosen: tuple[int, ...]) -> float:
        """How many conjunctions the test of one to three items has to be corrected for."""
        if len(chosen) == 1:
            return _SIZES * float(len(self.items))
        pairs = {(a, b): self._rank(a, b) for a, b in permutations(chosen, 2) if a < b}
        ranked = {pair: rank * _harmonic(len(self._strangeness)) for pair, rank in pairs.items()}
        if len(chosen) == 2:
            return _SIZES * min(ranked[pair] for pair in pairs)
        return _SIZES * min(
            tests * self._third(pair, next(item for item in chosen if item not in pair)) for pair, tests in ranked.items()
        )

    def written(self, chosen: tuple[int, ...]) -> float:
        """P-value of the least strange pair of some items among other values of the same two columns; 1 for a pair of no two.

        Columns that go with each other have many strange pairs, and one more says nothing: the null is as wide as theirs.
        """
        return max((self._odd(a, b) for a, b in permutations(chosen, 2) if a < b), default=1.0)

    def _odd(self, a: int, b: int) -> float:
        keys, odd = self._pairs
        wanted, count = a * len(self.items) + b, len(self.items)
        place = int(np.searchsorted(keys, wanted))
        if place == len(keys) or keys[place] != wanted:
            return 1.0
        columns = [self.items.column[keys // count], self.items.column[keys % count]]
        same = (columns[0] == self.items.column[a]) & (columns[1] == self.items.column[b])
        near = [_overlapping(self.items, each) for each in (a, b)]
        others = odd[same & ~(near[0][keys // count] & near[1][keys % count])]
        width = max(_width(odd), _width(others)) if len(others) < _COMPARED else _width(others)
        return float(norm.sf(odd[place] / width))

    @cached_property
    def _matrix(self) -> csr_matrix:
        return self.items.matrix_of(self.rows)

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys of all pairs of different columns that enough rows have, ascending, and how strange each is."""
        shared, count = triu(self._matrix.T @ self._matrix, k=1, format="coo"), len(self.items)
        kept = (shared.data >= _LEAST) & (self.items.column[shared.row] != self.items.column[shared.col])
        a, b, both = shared.row[kept].astype(np.int64), shared.col[kept].astype(np.int64), shared.data[kept]
        odd = _strange(both, self._borne[a] * self._borne[b] / max(1, len(self.rows)))
        order = np.argsort(a * count + b)
        return (a * count + b)[order], odd[order]

    @cached_property
    def _strangeness(self) -> np.ndarray:
        """Of all pairs, ascending."""
        return np.sort(self._pairs[1])

    @cached_property
    def _borne(self) -> np.ndarray:
        """(m,) rows with each item."""
        return np.asarray(self._matrix.sum(0), np.float64).ravel()

    def _rank(self, a: int, b: int) -> float:
        """1 = the strangest pair of all."""
        keys, odd = self._pairs
        place = int(np.searchsorted(keys, a * len(self.items) + b))
        if place == len(keys) or keys[place] != a * len(self.items) + b:
            return float(comb(len(self.items), 2))
        return float(len(odd) - np.searchsorted(self._strangeness, odd[place], side="left"))

    def _third(self, pair: tuple[int, int], item: int) -> float:
        """How many further items of other columns a third one has to be corrected for, by how often rows with the pair have them."""
        foreign = ~np.isin(self.items.column, self.items.column[list(pair)])
        rows = np.flatnonzero(np.asarray(self._matrix[:, list(pair)].sum(1)).ravel() == 2)
        odd = _strange(
            np.asarray(self._matrix[rows].sum(0), np.float64).ravel(), len(rows) * self._borne / max(1, len(self.rows))
        )
        return float((odd[foreign] >= odd[item]).sum()) * _harmonic(int(foreign.sum()))


def _width(odd: np.ndarray) -> float:
    """How much wider than a standard normal the upper tail of some pairs is, 1 at least; of few only their upper tenth tells."""
    usable = [q for q in _QUANTILES if len(odd) * (1 - q) >= _TAIL] or list(_QUANTILES[:1])
    return max(1.0, *(float(np.quantile(odd, q)) / float(norm.ppf(q)) for q in usable)) if len(odd) else 1.0


def _strange(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Signed root of the Poisson deviance: about standard normal where nothing goes with anything."""
    deviance = 2 * (xlogy(counts, counts / np.maximum(expected, 1e-9)) - (counts - expected))
    return np.asarray(np.sign(counts - expected) * np.sqrt(np.maximum(deviance, 0)))


def _overlapping(items: Items, item: int) -> np.ndarray:
    """(m,) bool: items of the same column that share a value with one."""
    same = items.column == items.column[item]
    if np.isnan(items.low[item]):
        return np.asarray(same & np.isnan(items.low))
    return np.asarray(same & (items.low <= items.high[item]) & (items.high >= items.low[item]))


def _harmonic(count: int) -> float:
    return float(np.log(max(1, count)) + np.euler_gamma) if count > 1 else 1.0


def lifts(items: Items) -> Lifts:
    """Of a sample of the rows where they are many."""
    rows = np.arange(len(items.cells.values))
    if len(rows) > LOOKED_AT:
        rows = np.sort(np.random.default_rng(0).choice(rows, LOOKED_AT, replace=False))
    return Lifts(items, rows)
