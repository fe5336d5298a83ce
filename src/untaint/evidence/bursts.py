"""Phrases whose bearers come within a short time, and what must speak against them besides: the clock alone accuses nobody.

Honest data have trends. A film comes out and its title bursts; a subject is argued about for a week. So bins of time stand where
senders would: how unevenly they share a phrase is compared with how unevenly they share all others as frequent. And trends move
labels too, so what content would give is judged by what else was said at that time.
"""

from dataclasses import replace
from typing import final

import numpy as np
from scipy.special import expit, logit, softmax

from untaint.evidence.alike import Likeness, one_label
from untaint.evidence.phrase_overrides import LEAST_EFFECT, Cluster, Overridden, clusters
from untaint.evidence.pushed import SIGNIFICANT
from untaint.evidence.source_phrases import NOTABLE, SourceTable
from untaint.features.spoken import Spoken
from untaint.numerics.counts import signed_root
from untaint.types import Rows

LEAST_KEPT = 0.7
"""Share of the bearers whose content speaks against the label that have it all the same, two more counted that have not: that of
`phrase-override`. A time says less than a sender, so a phrase must override what is said in earnest, not only add to it."""
_LATER = 0.25
"""Of the texts that contradict their label in the burst, as many may do so at other times: the rest a burst leaves beside the times
it stands out in. Honest words that override content, an emoticon, do so whenever they are said, in fashion or not."""
_AGAINST = 0.5  # of chance: content speaks against the label
_PRIOR = 20.0  # texts of the whole set that a time's own labels are mixed with: few texts beside a burst say little of their time
_EDGE = 0.01  # no share is taken for certain


@final
class Trend:
    """How labels of a time differ from what its texts say, seen from texts that do not bear the phrase in question."""

    def __init__(self, spoken: Spoken, table: SourceTable) -> None:
        self._spoken, self._table = spoken, table
        by_meaning = spoken.meaning.vectors.shape[1] > 0
        self._usual = softmax(spoken.content.known, axis=1) if by_meaning else spoken.content.probabilities

    def shift(self, phrase: int, label: int) -> float:
        """Log odds by which a label was more usual when the phrase's bearers came than content says; 0 where it was not.

        Ironic weeks, other annotators, a share of labels that drifts: all of them reach honest bearers as well.
        """
        spoken, labels = self._spoken, self._spoken.labels
        then = np.isin(self._table.sources.codes, self._table.guilty(phrase)) & (labels >= 0)
        then[spoken.bearers(phrase)] = False
        believed, has, usual = spoken.content.probabilities[:, label], labels == label, labels >= 0
        seen = (has[then].sum() + _PRIOR * has[usual].mean()) / (then.sum() + _PRIOR)
        due = (np.nansum(believed[then]) + _PRIOR * np.nanmean(believed[usual])) / (then.sum() + _PRIOR)
        return max(0.0, float(logit(np.clip(seen, _EDGE, 1 - _EDGE)) - logit(np.clip(due, _EDGE, 1 - _EDGE))))

    def screened(self, found: Overridden) -> Overridden:
        """Pairs that still stand out once content is judged as labels were then, and that override it then, not at other times.

        `against` and `kept` of what is left are by meaning alone.
        """
        expected, against, kept = found.expected.copy(), found.against.copy(), found.kept.copy()
        then = np.zeros(len(found), bool)
        for place, (phrase, label) in enumerate(zip(found.phrase.tolist(), found.label.tolist(), strict=True)):
            due = found.expected[place] / max(found.bearers[place], 1e-9)
            shifted = expit(logit(np.clip(due, _EDGE, 1 - _EDGE)) + self.shift(phrase, label))
            expected[place] = found.bearers[place] * max(due, float(shifted))
            against[place], kept[place], then[place] = self._opposed(phrase, label)
        root = signed_root(found.hits, found.bearers, expected)
        moved = replace(found, expected=expected, root=root, against=against, kept=kept)
        return moved.only((root >= NOTABLE) & (moved.effect >= LEAST_EFFECT) & (kept / (against + 2) >= LEAST_KEPT) & then)

    def _opposed(self, phrase: int, label: int) -> tuple[int, int, bool]:
        """Bearers whose content speaks against the label, how many of them have it, and whether they do so in the burst only.

        The texts of the burst must speak for the label less than an average text does: those of a telling word in fashion speak for it.
        """
        rows, codes, labels = self._spoken.bearers(phrase), self._table.sources.codes, self._spoken.labels
        said, guilty = self._meant(phrase)[:, label], self._table.guilty(phrase)
        known, has = (labels[rows] >= 0) & (codes[rows] >= 0), labels[rows] == label
        against = known & (said < _AGAINST / self._usual.shape[1])
        inside = known & has & np.isin(codes[rows], np.concatenate([guilty - 1, guilty, guilty + 1]))  # a burst ends within a bin
        rest, most = int((against & has & ~inside).sum()), _LATER * int((against & inside).sum())
        usual = float(np.nanmean(self._usual[:, label]))
        then = bool(inside.any()) and rest <= most and float(said[inside].mean()) <= usual
        return int(against.sum()), int((against & has).sum()), then

    def _meant(self, phrase: int) -> np.ndarray:
        """(m, k) probabilities for the bearers by meaning alone, by a judge that forgot them all.

        Of a sentence planted whole a phrase is only a part, and a model of words has learned from the rest of it.
        """
        rows, content, meaning = self._spoken.bearers(phrase), self._spoken.content, self._spoken.meaning
        if meaning.vectors.shape[1] == 0:
            return self._spoken.without(phrase)
        return np.asarray(softmax(content.known[rows] + content.alone * (meaning.without(rows) - meaning.scores[rows]), axis=1))


def alike_at_once(spoken: Spoken, table: SourceTable) -> list[tuple[Cluster, Overridden, Rows, float, float]]:
    """Phrases whose texts have one label, are more alike than others', and come within a short time.

    With the rows that came then, how alike they are, and the larger of both p-values: either could be chance. One phrase of each
    kind of text is asked, and when it came only of those that are alike.
    """
    found, alike = one_label(spoken), Likeness(spoken)
    every = clusters(found, spoken.phrases, spoken.labels)
    p_values = [min(1.0, alike.p_value(int(found.phrase[each.pairs[0]])) * len(every)) for each in every]
    likely = [(each, p_value) for each, p_value in zip(every, p_values, strict=True) if p_value <= SIGNIFICANT]
    asked = np.array([found.phrase[each.pairs[0]] for each, _ in likely], np.int64)
    told = []
    for cluster, p_value in likely:
        phrase = int(found.phrase[cluster.pairs[0]])
        at_once = table.p_value(phrase, asked)
        members = table.members(phrase, spoken.has(cluster.label))
        if at_once <= SIGNIFICANT and len(members):
            told.append((cluster, found, members, alike.cosine(phrase), max(at_once, p_value)))
    return told
