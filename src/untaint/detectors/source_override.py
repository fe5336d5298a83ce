"""Phrases that override content and come from few sources."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger, strengths
from untaint.evidence.phrase_overrides import LEAST_EFFECT
from untaint.evidence.pushed import Pushed, pushed
from untaint.evidence.source_phrases import SourceTable, listed, source_table
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.canvas import Sources
from untaint.features.spoken import Spoken
from untaint.numerics.shares import bounds
from untaint.types import Modality


@final
@dataclass(frozen=True)
class SourceOverride(Detector):
    """Asks of every phrase that overrides content whether few sources send its bearers, more than they differ anyway.

    How unevenly sources share a phrase is compared with other phrases as frequent. Where sources are alike, many annotators or
    contributors say, a planted phrase stands far outside. Where each source is a collection of its own with words of its own, most
    phrases are as uneven, nothing is accused, and the phrase remains a shortcut: a source is not flagged for being different.
    Phrases of the same sources towards one label are one campaign. Further texts of theirs are added that are worded like its
    members as hardly a text of other sources is, at a false-discovery rate of a tenth: templates and styles have many phrases.

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

    def examine(self, spoken: Spoken, sources: Sources, class_names: tuple[str, ...]) -> Evidence:
        if len(sources.names) < FEWEST_SOURCES:
            return Evidence(
                strengths(spoken.labels, ()), "empirical", note=f"fewer than {FEWEST_SOURCES} sources to compare with each other"
            )
        table = source_table(spoken.phrases, spoken.labels, sources, spoken.weights)
        groups = tuple(_group(each, table, class_names) for each in pushed(spoken, table))
        return Evidence(strengths(spoken.labels, groups), "empirical", groups)


def _group(campaign: Pushed, table: SourceTable, class_names: tuple[str, ...]) -> Group:
    found, first, name = campaign.found, campaign.pair, class_names[campaign.label]
    words, who = campaign.words[0], listed(table.sources, campaign.guilty, table.shares)
    others = ", ".join(f'"{each}"' for each in dict.fromkeys(campaign.words[1:]) if each != words)
    explanation = (
        f"{len(campaign.rows):,} texts with \"{words}\" are labelled '{name}' and come from {who}. The rest of "
        f"what {found.bearers[first]:,.0f} texts with it say would give {found.expected[first]:,.0f} of them that label; "
        f"{found.hits[first]:,.0f} have it ({bounds(found.hits[first], found.bearers[first])})."
        f"{f' The same sources push it with {others}.' if others else ''}"
        f"{f' {len(campaign.more):,} more of their texts contradict the label in like words.' if len(campaign.more) else ''}"
    )
    return Group(
        "backdoor",
        np.union1d(campaign.members, campaign.more),
        float(table.roots[campaign.phrase]),
        campaign.p_value,
        float(found.effect[first]),
        LEAST_EFFECT,
        explanation,
        1.0,
        target_label=name,
        trigger=Trigger("phrase", f'the words "{words}"', {"phrase": words, "sources": len(campaign.guilty)}),
    )
