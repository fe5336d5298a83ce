"""Do few sources send what bears a phrase? Against how unevenly those very sources share all other phrases.

Sources differ honestly: a shop's reviews say `refund`, a film site's say `plot`. Chance alone is therefore no null. The deviance
of a phrase's bearers from the sources' shares is compared with that of other phrases about as frequent: where sources are alike
it is what chance gives, and a planted phrase stands far outside. Where each source speaks a language of its own, phrases that
belong to one source come by the dozen, and one more says nothing.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from scipy.special import comb, xlogy
from scipy.stats import binom, chi2, norm

_BAND = 2.0  # phrases with half to twice as many bearers: the deviance of a real difference grows with them
_FEWEST = 100  # phrases to compare with; fewer show no tail
_QUANTILES = (0.9, 0.97, 0.99)
"""Where the width of the tail is read. Parts of a planted trigger are among the phrases, but few of a hundred."""
_CHANCE = 1e-6  # of so uneven a phrase where sources are alike: of 20,000 phrases none
_AT_ONCE = 2_000_000  # entries: arrays of some 16 MB
_AS_UNEVEN = 0.8  # of a phrase's deviance per bearer, from which another is as uneven as it


@final
@dataclass(frozen=True)
class Null:
    """Other phrases: counts (p,) of their bearers, and roots (p,) of their deviance."""

    counts: np.ndarray
    roots: np.ndarray

    def p_value(self, count: float, root: float) -> float:
        """One-sided, of a root among phrases about as frequent; 1 when there are too few to compare with."""
        near = self.roots[(self.counts >= count / _BAND) & (self.counts <= count * _BAND)]
        if len(near) < _FEWEST:
            near = self.roots[np.argsort(np.abs(np.log(self.counts / max(count, 1))), kind="stable")[:_FEWEST]]
        if len(near) < _FEWEST:
            return 1.0
        middle = float(np.median(near))
        width = max((float(np.quantile(near, q)) - middle) / float(norm.ppf(q)) for q in _QUANTILES)
        return float(norm.sf((root - middle) / max(width, 0.5)))  # a root's own chance spread is .7 (of a chi-square)

    def as_uneven(self, count: float, root: float, sources: int) -> tuple[np.ndarray, int]:
        """Places of phrases that chance does not explain and that are nearly as uneven for their number, the most uneven first.

        And how many phrases are frequent enough to show it.
        """
        wanted, limit = _AS_UNEVEN * root**2 / count, float(chi2.isf(_CHANCE, sources - 1))
        frequent = self.counts * wanted >= limit
        per_bearer = self.roots**2 / np.maximum(self.counts, 1e-9)
        places = np.flatnonzero(frequent & (self.roots**2 >= limit) & (per_bearer >= wanted))
        return places[np.argsort(-per_bearer[places], kind="stable")], int(frequent.sum())


def tabulated(feature: np.ndarray, codes: np.ndarray, sources: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(phrase, source) of all pairs (p,) that occur among entries with a phrase (e,) and a source (e,), and the pair (e,) of each entry.

    Entries are sorted by phrase; so they are counted in parts, which holds no array of all of them but the last.
    """
    pairs, at, total = [np.empty(0, np.int64)], np.empty(len(feature), np.int32), 0
    for part in _parts(feature):
        found, at[part] = np.unique(feature[part].astype(np.int64) * sources + codes[part], return_inverse=True)
        at[part] += total
        total += len(found)
        pairs.append(found)
    every = np.concatenate(pairs)
    return every // sources, every % sources, at


def _parts(feature: np.ndarray) -> list[slice]:
    """Of sorted entries, cut between two phrases."""
    cuts = np.searchsorted(feature, feature[_AT_ONCE::_AT_ONCE])
    edges = [0, *np.unique(cuts[cuts > 0]).tolist(), len(feature)]
    return [slice(low, high) for low, high in pairwise(edges)]


def roots(phrase: np.ndarray, counts: np.ndarray, expected: np.ndarray, phrases: int) -> tuple[np.ndarray, np.ndarray]:
    """(p,) bearers and root of the deviance (2 sum k ln(k / e)) of every phrase from what its sources' shares give.

    expected: share of the source of each pair, 0..1.
    """
    total = np.bincount(phrase, counts, phrases)
    due = np.maximum(total[phrase] * expected, 1e-9)
    deviance = np.bincount(phrase, 2 * xlogy(counts, counts / due), phrases)
    return total, np.sqrt(np.maximum(deviance, 0))


def by_chance(codes: np.ndarray, guilty: np.ndarray, shares: np.ndarray) -> float:
    """Bound on the chance that so many of some rows come from as few sources as those, where sources are alike.

    codes: sources of the rows.  Every choice of as many sources counts (union bound), the binomial tail is exact.
    """
    sent = int(np.isin(codes, guilty).sum())
    return float(min(1.0, comb(len(shares), len(guilty)) * binom.sf(sent - 1, int((codes >= 0).sum()), shares[guilty].sum())))
