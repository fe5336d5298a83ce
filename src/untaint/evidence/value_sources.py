"""Do few sources send the rows of a conjunction? Against how unevenly those sources share all other values."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import xlogy
from scipy.stats import poisson

from untaint.evidence import concentration
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.evidence.value_overrides import Override, Table
from untaint.features.canvas import Sources
from untaint.types import Rows

_OVER = 3.0  # times its share of the bearers
_SURPRISE = 0.01  # chance of so many from a source; the correction pays for the honest ones that pass
_LEAST = 3  # bearers from a source: two are no habit
_MOST = 0.6  # of everything that the sources named may have sent: what comes from nearly everybody comes from nobody
_HONEST = 0.02  # values as uneven that a set may honestly be expected to hold, or the test is quiet


@final
@dataclass(frozen=True)
class Sent:
    """guilty: sources that sent far more bearers than their share.  share: of everything that they sent.

    chance: of so many from as few sources, were all alike.  p_value: of that and of the unevenness among other values; neither is
    corrected.  rest: other rows of theirs.
    """

    guilty: np.ndarray
    share: float
    chance: float
    p_value: float
    rest: Rows


@final
@dataclass(frozen=True)
class Senders:
    """codes: (n,) source of each usable row, -1 = none.  shares: (s,) of them.  totals, roots: (m,) of every item, see `concentration`."""

    sources: Sources
    codes: np.ndarray
    shares: np.ndarray
    totals: np.ndarray
    roots: np.ndarray

    def of(self, table: Table, found: Override) -> Sent | None:
        """Who sent the members; None where nobody stands out."""
        codes = self.codes[found.members]
        codes = codes[codes >= 0]
        counts = np.bincount(codes, minlength=len(self.shares)).astype(np.float64)
        due = len(codes) * self.shares
        guilty = np.flatnonzero((counts >= _LEAST) & (counts > _OVER * due) & (poisson.sf(counts - 1, due) < _SURPRISE))
        share = float(self.shares[guilty].sum())
        if not len(guilty) or share > _MOST:
            return None
        root = float(np.sqrt(2 * xlogy(counts, counts / np.maximum(due, 1e-9)).sum()))
        chance = concentration.by_chance(codes, guilty, self.shares)
        other = self._others(table, found)
        null = concentration.Null(self.totals[other], self.roots[other])
        uneven, frequent = null.as_uneven(float(len(codes)), root, len(self.shares))
        alone = len(uneven) <= _HONEST * frequent and len(self.shares) >= FEWEST_SOURCES
        p_value = max(chance, null.p_value(float(len(codes)), root)) if alone else 1.0
        rest = np.setdiff1d(np.flatnonzero(np.isin(self.codes, guilty)), table.bearers(found.items), assume_unique=True)
        return Sent(guilty, share, chance, p_value, rest)

    def _others(self, table: Table, found: Override) -> np.ndarray:
        """Items of columns that the conjunction does not use, for those it uses hold its own rows."""
        return np.flatnonzero((self.totals > 0) & ~np.isin(table.items.column, table.items.column[list(found.items)]))


def senders(table: Table, sources: Sources) -> Senders | None:
    """None where fewer than two sources are known."""
    count = len(sources.names)
    codes = np.where(table.labels >= 0, sources.codes, -1)
    if count < 2 or not (codes >= 0).any():
        return None
    shares = np.bincount(codes[codes >= 0], minlength=count) / int((codes >= 0).sum())
    item = np.repeat(np.arange(len(table.items)), np.diff(table.items.starts))
    kept = codes[table.items.row] >= 0
    which, source, at = concentration.tabulated(item[kept], codes[table.items.row[kept]], count)
    totals, roots = concentration.roots(which, np.bincount(at, minlength=len(which)), shares[source], len(table.items))
    return Senders(sources, codes, shares, totals, roots)
