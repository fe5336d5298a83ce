"""Many texts of few sources that tie the same words to the same label."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.alike import LEAST_PURE, Likeness, one_label
from untaint.evidence.copies import with_copies
from untaint.evidence.evidence import Evidence, Group, Trigger, strengths
from untaint.evidence.phrase_names import named
from untaint.evidence.phrase_overrides import Cluster, Overridden, clusters, ranked
from untaint.evidence.source_phrases import NOTABLE, SourceTable, listed, source_table, unborrowed
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.canvas import Sources
from untaint.features.spoken import Spoken
from untaint.numerics import counts
from untaint.numerics.shares import bounds
from untaint.types import Labels, Modality

LEAST_EFFECT = 0.8
"""Share of the bearers which the source's other texts would not have given the label that have it. Whoever floods wants one label;
one honest text in ten that says the words with another label leaves .8 at even odds."""
_SIGNIFICANT = 0.05  # corrected for all phrases; the verdict corrects for detectors and asks for its own rate
_PRIOR = 20.0
"""Texts of the whole set that a source's own labels are mixed with: a source that sent nothing but the flood has no other labels."""


@final
@dataclass(frozen=True)
class TextFlood(Detector):
    """Asks of every phrase that few sources send far more often than their share whether their texts with it have one label.

    Expected labels are those of the other texts of the same sources, so that a source which only complains is not accused for
    complaining. How unevenly sources share the phrase is compared with other phrases as frequent, as in `source-override`. What
    the texts say may well agree with their label; real reviews with a brand name put in do. Near-copies of what is accused are
    part of it: a whole cluster is set aside.

    Without sources, phrases are told whose texts all have one label and are more alike in meaning than those of any other phrase
    as frequent. That accuses nobody: an honest sender with a style of his own looks the same.

    Works when: some 15 texts with a common word, or a common template, come from few of many sources that are otherwise alike.
    Fails when: sources are unknown (then it is a shortcut) or all different in kind; every text of the flood uses other words.
    Cost: little beyond the phrases.
    Reference: crowdturfing campaigns, Lee, Webb, Ge 2014; the test is our own
    """

    id: ClassVar[str] = "text-flood"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"text"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, spoken: Spoken, sources: Sources, class_names: tuple[str, ...]) -> Evidence:
        groups, note = _alike(spoken, class_names), f"fewer than {FEWEST_SOURCES} sources to compare with each other"
        if len(sources.names) >= FEWEST_SOURCES:
            groups, note = groups + _sent(spoken, sources, class_names), ""
        return Evidence(strengths(spoken.labels, groups), "empirical", tuple(groups), note=note)


def _sent(spoken: Spoken, sources: Sources, class_names: tuple[str, ...]) -> list[Group]:
    """Floods by who sent them."""
    table = source_table(spoken.phrases, spoken.labels, sources, spoken.weights)
    found = _one_sided(table, spoken.labels, len(class_names))
    notable = unborrowed(found.only((found.root >= NOTABLE) & (found.effect >= LEAST_EFFECT)), spoken, LEAST_EFFECT)
    told = [_group(each, notable, table, spoken, class_names) for each in clusters(notable, spoken.phrases, spoken.labels)]
    return [replace(each, members=with_copies(each.members, spoken.near_copies, spoken.labels)) for each in told if each]


def _alike(spoken: Spoken, class_names: tuple[str, ...]) -> list[Group]:
    """Texts of one label that are alike beyond all others with a word in common: campaigns, and the boilerplate of honest senders."""
    found, alike = one_label(spoken), Likeness(spoken)
    groups = []
    for cluster in clusters(found, spoken.phrases, spoken.labels):
        first, name = cluster.pairs[0], class_names[cluster.label]
        phrase = int(found.phrase[first])
        p_value = min(1.0, alike.p_value(phrase) * len(found))
        if p_value > _SIGNIFICANT:
            continue
        members = with_copies(cluster.members, spoken.near_copies, spoken.labels)
        words = named(spoken, phrase, cluster.members)
        explanation = (
            f"{found.hits[first]:,.0f} of {found.bearers[first]:,.0f} different texts with \"{words}\" are labelled '{name}', and they are "
            f"more alike than those of any other phrase as frequent (mean cosine {alike.cosine(phrase):.2f}). A campaign looks like "
            "that, and so does an honest sender with a style of his own; sources or dates would decide it."
        )
        trigger = Trigger("phrase", f'the words "{words}"', {"phrase": words})
        pure = float(found.hits[first] / found.bearers[first])
        groups.append(
            Group(
                "backdoor",  # without the contradiction an accusation needs: told as a shortcut
                members,
                alike.cosine(phrase),
                p_value,
                pure,
                LEAST_PURE,
                explanation,
                0.0,
                target_label=name,
                trigger=trigger,
            )
        )
    return groups


def _one_sided(table: SourceTable, labels: Labels, classes: int) -> Overridden:
    """Phrases of suspicious sources against labels, expected from what else those sources sent. Strongest first."""
    part, codes, s = table.part, table.sources.codes, len(table.shares)
    known = (codes >= 0) & (labels >= 0)
    sent = np.zeros((s, classes))
    np.add.at(sent, (codes[known], labels[known]), 1)
    everyone = sent.sum(0) / max(sent.sum(), 1)
    pair, at = np.unique(part.feature.astype(np.int64) * s + codes[part.row], return_inverse=True)
    of, source, label = pair // s, pair % s, labels[part.row]
    size = np.bincount(at, minlength=len(pair))
    found = []
    for own in range(classes):
        has = np.bincount(at[label == own], minlength=len(pair))
        rest = np.maximum(sent[source, own] - has, 0) + _PRIOR * everyone[own]
        due = size * rest / (np.maximum(sent[source].sum(1) - size, 0) + _PRIOR)
        bearers, hits, expected = (np.bincount(of, values, len(part)) for values in (size, has, due))
        which = np.flatnonzero(hits > 0)
        root, none = counts.signed_root(hits[which], bearers[which], expected[which]), np.zeros(len(which))
        found.append((which, np.full(len(which), own), bearers[which], hits[which], expected[which], root, none, none))
    return ranked(found, int((table.totals > 0).sum()) * classes)


def _group(cluster: Cluster, found: Overridden, table: SourceTable, spoken: Spoken, class_names: tuple[str, ...]) -> Group | None:
    first, name = cluster.pairs[0], class_names[cluster.label]
    phrase = int(found.phrase[first])
    members, guilty = table.members(phrase, spoken.has(cluster.label)), table.guilty(phrase)
    p_value = table.p_value(phrase, found.phrase)
    if p_value > _SIGNIFICANT or len(members) == 0:
        return None
    if float(spoken.believed(phrase, members, cluster.label).mean()) < _middle(spoken, cluster.label):
        return None  # what they say speaks against the label: that is no flood but an override
    words, who = named(spoken, phrase, members), listed(table.sources, guilty, table.shares)
    explanation = (
        f"{len(members):,} texts with \"{words}\", labelled '{name}', come from {who}. By the other texts of these "
        f"sources {found.expected[first]:,.0f} of {found.bearers[first]:,.0f} would have that label; {found.hits[first]:,.0f} have it "
        f"({bounds(found.hits[first], found.bearers[first])})."
    )
    return Group(
        "flood",
        members,
        float(table.roots[phrase]),
        p_value,
        float(found.effect[first]),
        LEAST_EFFECT,
        explanation,
        1.0,
        target_label=name,
        trigger=Trigger("phrase", f'the words "{words}"', {"phrase": words, "sources": len(guilty)}),
    )


def _middle(spoken: Spoken, label: int) -> float:
    """Half way from how probable content finds a label where it is right to where it is wrong."""
    own, others = float(np.nanmean(spoken.content.own[spoken.has(label)])), spoken.content.probabilities.shape[1] - 1
    return (own + (1 - own) / others) / 2
