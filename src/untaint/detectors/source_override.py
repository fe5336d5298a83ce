"""Phrases that override content and come from few sources."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.phrase_names import grown, spelled
from untaint.evidence.phrase_overrides import LEAST_EFFECT, Cluster, Overridden, clusters, overridden, without
from untaint.evidence.source_phrases import NOTABLE, SourceTable, bearers, source_table
from untaint.features.canvas import Sources
from untaint.features.duplicates import NearCopies
from untaint.features.phrases import Phrases
from untaint.features.text_content import TextContent
from untaint.features.texts import Tokens
from untaint.types import Labels, Modality, Rows

_AS_MUCH = 0.9
"""Effect from which bearers of other sources belong to the attack: its largest source sends too much else to stand out."""
_SIGNIFICANT = 0.05  # corrected for all phrases; the verdict corrects for detectors and asks for its own rate


@final
@dataclass(frozen=True)
class SourceOverride(Detector):
    """For every phrase that overrides content: is it few sources that send its bearers, more than they differ anyway?

    How unevenly sources share a phrase is compared with other phrases as frequent. Where sources are alike, many annotators or
    contributors say, a planted phrase stands far outside. Where each source is a collection of its own with words of its own, most
    phrases are as uneven, nothing is accused, and the phrase remains a shortcut: a source is not flagged for being different.

    Works when: sources are known and several of them are alike; poison comes from a few.
    Fails when: one source sent everything; an attacker spreads over all sources; every source is another kind of text.
    Cost: little beyond the content feature.
    Reference: the test is our own; attackers who hold few accounts or domains, Carlini et al. 2023, arXiv 2302.10149
    """

    id: ClassVar[str] = "source-override"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"text"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        phrases: Phrases,
        content: TextContent,
        labels: Labels,
        sources: Sources,
        near_copies: NearCopies,
        tokens: Tokens,
        class_names: tuple[str, ...],
    ) -> Evidence:
        scores = np.where(labels >= 0, 0.0, np.nan).astype(np.float32)
        if len(sources.names) < 2:
            return Evidence(scores, "empirical", note="no second source to compare with")
        table = source_table(phrases, labels, sources)
        groups = []
        for found in (overridden(part, content, labels, near_copies.weights) for part in (phrases, table.part)):
            notable = found.only((found.root >= NOTABLE) & (found.effect >= LEAST_EFFECT))
            for each in clusters(notable, phrases, labels):
                group = _group(each, notable, table, (labels, content, tokens), class_names)
                if group.p_value <= _SIGNIFICANT:
                    groups.append(group)
                    scores[group.members] = np.maximum(scores[group.members], -np.log10(max(group.p_value, 1e-300)))
        return Evidence(scores, "empirical", tuple(groups))


def _group(
    cluster: Cluster,
    found: Overridden,
    table: SourceTable,
    known: tuple[Labels, TextContent, Tokens],
    class_names: tuple[str, ...],
) -> Group:
    labels, content, tokens = known
    first = cluster.pairs[0]
    number, name = int(found.phrase[first]), class_names[cluster.label]
    members, guilty = _members(number, cluster.label, table, labels, content), table.guilty(number)
    words = spelled(grown(table.phrases.piece(number), members, tokens), tokens)
    who = ", ".join(f"'{table.sources.names[code]}'" for code in guilty[:4])
    explanation = (
        f"{len(members):,} texts with \"{words}\" are labelled '{name}' and come from {who or 'nobody in particular'}"
        f"{' and others' if len(guilty) > 4 else ''}, which sent {table.shares[guilty].sum():.0%} of everything. The rest of what "
        f"{found.bearers[first]:,.0f} texts with it say would give {found.expected[first]:,.0f} of them that label; "
        f"{found.hits[first]:,.0f} have it."
    )
    return Group(
        "backdoor",
        members,
        float(table.roots[number]),
        table.p_value(number, len(found)) if len(members) else 1.0,
        float(found.effect[first]),
        LEAST_EFFECT,
        explanation,
        1.0,
        target_label=name,
        trigger=Trigger("phrase", f'the words "{words}"', {"phrase": words, "label": name, "sources": len(guilty)}),
    )


def _members(number: int, label: int, table: SourceTable, labels: Labels, content: TextContent) -> Rows:
    """Bearers with the label that those sources sent; those of other sources as well where they override content as much."""
    named = table.members(number, labels == label)
    rows = bearers(table.phrases, number)
    rest = rows[~np.isin(table.sources.codes[rows], table.guilty(number)) & (labels[rows] >= 0)]
    if len(rest) == 0 or len(named) == 0:
        return named
    believed = without(table.phrases, content, np.full(len(rest), number), rest)[:, label]
    has = labels[rest] == label
    effect = float((has.sum() - believed.sum()) / max(len(rest) - believed.sum(), 1e-9))
    return np.union1d(named, rest[has]) if effect >= _AS_MUCH else named
