"""Phrases and who sent them: the part of each phrase's bearers that comes from sources which sent far more than their share."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from scipy.stats import norm, poisson

from untaint.evidence import concentration
from untaint.evidence.phrase_overrides import Overridden
from untaint.features.canvas import Sources
from untaint.features.phrases import TOGETHER, Phrases
from untaint.features.spoken import Spoken
from untaint.numerics.counts import signed_root
from untaint.types import Labels, Mask, Rows

NOTABLE = 3.0
"""Standard units of association with a label from which on it is asked who sent a phrase; see `SourceTable.tests`."""
_OVER = 3.0  # times its share of the bearers: of two sources in twenty that sent all of it each has ten times its share
_SURPRISE = 0.01  # chance of so many from a source; a small part of honest pairs passes and costs only the correction
_LEAST = 3  # bearers from a source: two are no habit
_REST = (
    0.25  # of a trigger's bearers outside the sources named: they are taken along, one source sent too few of them to be named
)
_HONEST = 0.02  # phrases as uneven and as telling that a set may honestly be expected to hold, or the test is quiet
_ALL, _WIDER, _ALIKE = 0.9, 1.5, 0.8
"""A phrase explains another when it holds nine in ten of its texts, half as many again, and is four fifths as uneven."""
_SAME = 0.3  # of the bearers of two phrases, from which they are of one kind
_SHARED = 0.6  # of a phrase's bearers, up to which it is not a part of another
_ONE_SIDED = 0.97  # of all bearers with the label: of a honest word's, even odds give a half, a telling word's four fifths
_MANY = 8.0
"""Phrases that stand out for every one that chance alone gives, because phrases in a text come together; 1 to 6 was seen on honest
reviews with sources drawn at random."""


@final
@dataclass(frozen=True)
class SourceTable:
    """phrases: all.  part: only entries from sources that sent far more of the phrase than their share.

    shares: (s,) of all usable texts.  roots (p,), totals (p,): how unevenly sources share each phrase, and its bearers.
    """

    phrases: Phrases
    part: Phrases
    sources: Sources
    shares: np.ndarray
    roots: np.ndarray
    totals: np.ndarray

    @property
    def tests(self) -> float:
        """Phrases that reach `NOTABLE` with some label by chance, at least one."""
        return max(1.0, _MANY * float((self.totals > 0).sum()) * float(norm.sf(NOTABLE)))

    def p_value(self, phrase: int, asked: np.ndarray, kinds: int | None = None) -> float:
        """Of the unevenness of a phrase among phrases that other texts bear, corrected: parts of one sentence are all as uneven.

        asked: numbers of the phrases it is asked of, each of which may belong to the same attack. 1 when as many others, drawn from
        all, would honestly hold one as uneven in one set of fifty.  kinds: how many of those asked are borne by different texts,
        None = count every one.
        """
        shared = self.phrases.shared(self.phrases.bearers(phrase))
        other = np.flatnonzero((self.totals > 0) & (shared <= _SHARED * self.phrases.borne))
        null, count, root = concentration.Null(self.totals[other], self.roots[other]), self.totals[phrase], self.roots[phrase]
        uneven, frequent = null.as_uneven(float(count), float(root), len(self.shares))
        count_asked = len(asked) if kinds is None else kinds
        allowed, tests = int(_HONEST * frequent / max(count_asked, 1)), max(count_asked, self.tests)
        if self._habit(phrase) or self._kinds(np.setdiff1d(other[uneven], asked), allowed) > allowed:
            return 1.0
        codes = self.sources.codes[self.phrases.bearers(phrase)]
        chance = concentration.by_chance(codes, self.guilty(phrase), self.shares)
        return min(1.0, max(chance, null.p_value(float(count), float(root))) * tests)

    def _habit(self, phrase: int) -> bool:
        """Whether a wider phrase that is a part of this one is as uneven: a signature under everything, with a word before it.

        What the sources that stand out sent is looked at: others may have the word, followed by something else.
        """
        piece, sent = self.phrases.piece(phrase), self.part.bearers(phrase)
        if len(piece) < 2:
            return False
        wider = (self.phrases.shared(sent) >= _ALL * len(sent)) & (self.totals >= _WIDER * self.totals[phrase])
        per_bearer = self.roots**2 / np.maximum(self.totals, 1e-9)
        alike = np.flatnonzero(wider & (per_bearer >= _ALIKE * per_bearer[phrase]))
        return bool(np.isin(self.phrases.words[alike], piece).any())

    def _kinds(self, phrases: Rows, enough: int) -> int:
        """How many of these phrases are borne by different texts; counting ends when there are more than enough."""
        seen: list[set[int]] = []
        for phrase in phrases.tolist():
            rows = set(self.phrases.bearers(phrase).tolist())
            if all(len(rows & other) < _SAME * min(len(rows), len(other)) for other in seen):
                seen.append(rows)
            if len(seen) > enough:
                break
        return len(seen)

    def guilty(self, phrase: int) -> np.ndarray:
        """Numbers of the sources that sent far more of a phrase than their share."""
        return np.unique(self.sources.codes[self.part.bearers(phrase)])

    def members(self, phrase: int, labelled: Mask) -> Rows:
        """Rows with the label that bear the phrase and come from those sources.

        The rest too, where it is small, or where hardly a bearer has another label: then nobody says it honestly.
        """
        every = self.phrases.bearers(phrase)
        rows = every[labelled[every]]
        named = np.isin(self.sources.codes[rows], self.guilty(phrase))
        alone = (~named).sum() <= max(1, _REST * named.sum()) or len(rows) >= _ONE_SIDED * len(every)
        return rows if alone else rows[named]


def source_table(
    phrases: Phrases, labels: Labels, sources: Sources, weights: np.ndarray, *, by_label: bool = False
) -> SourceTable:
    """What the sources of a set say of its phrases; rows without label or source do not count.

    by_label: a phrase is due from a source as often as the labels of its bearers are: where labels drift, telling words drift with them.
    weights (n,): what each text counts where unevenness is measured. Copies come from whoever has copies: they are one observation.
    """
    usable = (sources.codes >= 0) & (labels >= 0)
    shares = np.bincount(sources.codes[usable], minlength=len(sources.names)) / max(int(usable.sum()), 1)
    kept = usable[phrases.row]
    feature, row = phrases.feature[kept], phrases.row[kept]
    phrase, source, at = concentration.tabulated(feature, sources.codes[row], len(shares))
    once, count = np.bincount(at, weights[row], len(phrase)), np.bincount(at, minlength=len(phrase))
    expected = shares[source]
    if by_label:
        own = np.bincount(labels[usable] * len(shares) + sources.codes[usable], minlength=(int(labels.max()) + 1) * len(shares))
        expected = _due_by_label(feature, labels[row], own.reshape(-1, len(shares)), (phrase, source))
    totals, roots = concentration.roots(phrase, once, expected, len(phrases))
    due = np.bincount(phrase, count, len(phrases))[phrase] * expected
    odd = (count >= _LEAST) & (count > _OVER * due) & (poisson.sf(count - 1, due) < _SURPRISE)
    marked = odd[at]
    part = replace(phrases, feature=feature[marked], row=row[marked])
    return SourceTable(phrases, part, sources, shares, roots, totals)


def _due_by_label(feature: np.ndarray, labels: Labels, sent: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(m,) share of a phrase's bearers due from a source, for pairs of both, by what of each label (k, s) a source sent."""
    phrase, source = pairs
    size = int(feature.max(initial=0)) + 1
    borne, expected = np.maximum(np.bincount(feature, minlength=size), 1), np.zeros(len(phrase))
    for label, row in enumerate(sent):
        mine = np.bincount(feature[labels == label], minlength=size) / borne
        expected += mine[phrase] * row[source] / max(row.sum(), 1)
    return expected


_FEWEST = 10  # other texts with a word, from which its share of a label says something


def unborrowed(found: Overridden, spoken: Spoken, least: float) -> Overridden:
    """Pairs that stand out beyond what a part of the phrase does by itself, elsewhere.

    `:) -- sent from my phone`: the signature belongs to one source, the smile to a label, and neither to an attack.
    """
    kept = np.zeros(len(found), bool)
    for place, (phrase, label) in enumerate(zip(found.phrase.tolist(), found.label.tolist(), strict=True)):
        bearers, hits = float(found.bearers[place]), float(found.hits[place])
        due = max(float(found.expected[place]), bearers * _elsewhere(spoken, phrase, label))
        root = float(signed_root(np.array([hits]), np.array([bearers]), np.array([due]))[0])
        kept[place] = (hits - due) / max(bearers - due, 1e-9) >= least and root >= NOTABLE
    return found.only(kept)


def _elsewhere(spoken: Spoken, phrase: int, label: int) -> float:
    """Largest share of a label among texts that hold a part of a longer phrase and not all of it; 0 for a single word."""
    piece, rows = spoken.phrases.piece(phrase), spoken.bearers(phrase)
    parts = [spoken.holders(word) for word in piece] if len(piece) > 1 else []
    if spoken.phrases.place[phrase] != TOGETHER:
        parts += [spoken.bearers(pair) for pair in map(spoken.phrases.pair, piece[:-1], piece[1:]) if pair is not None]
    own, shares = spoken.labels[rows], [0.0]
    for part in parts:  # each holds all of the rows
        told = spoken.labels[part]
        others = int((told >= 0).sum() - (own >= 0).sum())
        if others >= _FEWEST:
            shares.append(float((told == label).sum() - (own == label).sum()) / others)
    return max(shares)


_NAMED = 4  # sources that are spelled out


def listed(sources: Sources, guilty: np.ndarray, shares: np.ndarray) -> str:
    """Those sources in words, and how much of everything they sent."""
    names = ", ".join(f"'{sources.names[code]}'" for code in guilty[:_NAMED]) or "nobody in particular"
    return f"{names}{' and others' if len(guilty) > _NAMED else ''}, which sent {shares[guilty].sum():.0%} of everything"
