"""Phrases and who sent them: the part of each phrase's bearers that comes from sources which sent far more than their share."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from scipy.stats import norm, poisson

from untaint.evidence import concentration
from untaint.features.canvas import Sources
from untaint.features.phrases import Phrases
from untaint.types import Labels, Mask, Rows

NOTABLE = 3.0
"""Standard units of association with a label from which on it is asked who sent a phrase; see `SourceTable.tests`."""
_OVER = 3.0  # times its share of the bearers: of two sources in twenty that sent all of it each has ten times its share
_SURPRISE = 0.01  # chance of so many from a source; a small part of honest pairs passes and costs only the correction
_LEAST = 3  # bearers from a source: two are no habit
_REST = (
    0.25  # of a trigger's bearers outside the sources named: they are taken along, one source sent too few of them to be named
)
_MANY = 8.0
"""Phrases that stand out for every one that chance alone gives, because phrases in a text come together; 1 to 6 was seen on honest
reviews with sources drawn at random."""


@final
@dataclass(frozen=True)
class SourceTable:
    """phrases: all.  part: only entries from sources that sent far more of the phrase than their share.

    shares: (s,) of all usable texts.  null: how unevenly sources share phrases.  roots (p,), totals (p,): of each phrase.
    """

    phrases: Phrases
    part: Phrases
    sources: Sources
    shares: np.ndarray
    null: concentration.Null
    roots: np.ndarray
    totals: np.ndarray

    @property
    def tests(self) -> float:
        """Phrases that reach `NOTABLE` with some label by chance, at least one."""
        return max(1.0, _MANY * float((self.totals > 0).sum()) * float(norm.sf(NOTABLE)))

    def p_value(self, phrase: int, tests: float) -> float:
        """Of the unevenness of a phrase, corrected."""
        return min(1.0, self.null.p_value(int(self.totals[phrase]), float(self.roots[phrase])) * max(tests, self.tests))

    def guilty(self, phrase: int) -> np.ndarray:
        """Numbers of the sources that sent far more of a phrase than their share."""
        return np.unique(self.sources.codes[self.part.bearers(phrase)])

    def members(self, phrase: int, labelled: Mask) -> Rows:
        """Rows with the label that bear the phrase and come from those sources; the rest too, where it is small."""
        rows = self.phrases.bearers(phrase)
        rows = rows[labelled[rows]]
        named = np.isin(self.sources.codes[rows], self.guilty(phrase))
        return rows if (~named).sum() <= max(1, _REST * named.sum()) else rows[named]


def source_table(phrases: Phrases, labels: Labels, sources: Sources) -> SourceTable:
    """What the sources of a set say of its phrases; rows without label or source do not count."""
    usable = (sources.codes >= 0) & (labels >= 0)
    shares = np.bincount(sources.codes[usable], minlength=len(sources.names)) / max(int(usable.sum()), 1)
    kept = usable[phrases.row]
    feature, row = phrases.feature[kept], phrases.row[kept]
    phrase, source, count = concentration.tabulated(feature, sources.codes[row], len(shares))
    totals, roots = concentration.roots(phrase, count, shares[source], len(phrases))
    due = totals[phrase] * shares[source]
    odd = (count >= _LEAST) & (count > _OVER * due) & (poisson.sf(count - 1, due) < _SURPRISE)
    marked = np.isin(feature.astype(np.int64) * len(shares) + sources.codes[row], phrase[odd] * len(shares) + source[odd])
    part = replace(phrases, feature=feature[marked], row=row[marked])
    return SourceTable(phrases, part, sources, shares, concentration.Null(totals[totals > 0], roots[totals > 0]), roots, totals)


_NAMED = 4  # sources that are spelled out


def listed(table: SourceTable, guilty: np.ndarray) -> str:
    """Those sources in words, and how much of everything they sent."""
    names = ", ".join(f"'{table.sources.names[code]}'" for code in guilty[:_NAMED]) or "nobody in particular"
    return f"{names}{' and others' if len(guilty) > _NAMED else ''}, which sent {table.shares[guilty].sum():.0%} of everything"
