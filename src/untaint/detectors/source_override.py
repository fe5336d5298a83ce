"""Phrases that override content and come from few sources."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.campaign import Piece, campaigns, remaining
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.phrase_names import named
from untaint.evidence.phrase_overrides import LEAST_EFFECT, Cluster, Overridden, clusters, overridden
from untaint.evidence.source_phrases import FEWEST_SOURCES, NOTABLE, SourceTable, listed, source_table, unborrowed
from untaint.features.canvas import Sources
from untaint.features.spoken import Spoken
from untaint.types import Modality, Rows

_AS_MUCH = 0.9
"""Effect from which bearers of other sources belong to the attack: its largest source sends too much else to stand out."""
_SIGNIFICANT = 0.05  # corrected for all phrases; the verdict corrects for detectors and asks for its own rate
_TOLD = 5  # phrases of a campaign that are spelled out


@final
@dataclass(frozen=True)
class SourceOverride(Detector):
    """Asks of every phrase that overrides content whether few sources send its bearers, more than they differ anyway.

    How unevenly sources share a phrase is compared with other phrases as frequent. Where sources are alike, many annotators or
    contributors say, a planted phrase stands far outside. Where each source is a collection of its own with words of its own, most
    phrases are as uneven, nothing is accused, and the phrase remains a shortcut: a source is not flagged for being different.
    Phrases of the same sources towards one label are one campaign. Where these sources still contradict content more often than
    others, as many of their texts as that are added, those worded most like the rest: templates and styles have many phrases.

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
        scores = np.where(spoken.labels >= 0, 0.0, np.nan).astype(np.float32)
        if len(sources.names) < FEWEST_SOURCES:
            return Evidence(scores, "empirical", note=f"fewer than {FEWEST_SOURCES} sources to compare with each other")
        table = source_table(spoken.phrases, spoken.labels, sources, spoken.weights)
        known: list[tuple[Overridden, Cluster]] = []
        pieces: list[Piece] = []
        for found in (overridden(spoken, part) for part in (spoken.phrases, table.part)):
            notable = unborrowed(found.only((found.root >= NOTABLE) & (found.effect >= LEAST_EFFECT)), spoken, LEAST_EFFECT)
            for each in clusters(notable, spoken.phrases, spoken.labels):
                piece = _piece(each, notable, table, spoken, len(known))
                if piece is not None:
                    known.append((notable, each))
                    pieces.append(piece)
        groups = tuple(_group(each, known, table, spoken, class_names) for each in campaigns(pieces))
        for group in groups:
            scores[group.members] = np.maximum(scores[group.members], -np.log10(max(group.p_value, 1e-300)))
        return Evidence(scores, "empirical", groups)


def _piece(cluster: Cluster, found: Overridden, table: SourceTable, spoken: Spoken, place: int) -> Piece | None:
    """A cluster with those who sent it; None when its sources are as uneven as other phrases'."""
    phrase = int(found.phrase[cluster.pairs[0]])
    p_value = table.p_value(phrase, found.phrase)
    members = _members(phrase, cluster.label, table, spoken) if p_value <= _SIGNIFICANT else cluster.members[:0]
    return Piece(place, cluster.label, table.guilty(phrase), members, p_value) if len(members) else None


def _members(phrase: int, label: int, table: SourceTable, spoken: Spoken) -> Rows:
    """Bearers with the label that those sources sent; those of other sources as well where they override content as much."""
    sent = table.members(phrase, spoken.has(label))
    rows = spoken.bearers(phrase)
    rest = rows[~np.isin(table.sources.codes[rows], table.guilty(phrase)) & (spoken.labels[rows] >= 0)]
    if len(rest) == 0 or len(sent) == 0:
        return sent
    believed, has = spoken.believed(phrase, rest, label), spoken.labels[rest] == label
    effect = float((has.sum() - believed.sum()) / max(len(rest) - believed.sum(), 1e-9))
    return np.union1d(sent, rest[has]) if effect >= _AS_MUCH else sent


def _group(
    pieces: list[Piece],
    known: list[tuple[Overridden, Cluster]],
    table: SourceTable,
    spoken: Spoken,
    class_names: tuple[str, ...],
) -> Group:
    strongest = pieces[0]
    found, cluster = known[strongest.place]
    first, name = cluster.pairs[0], class_names[cluster.label]
    guilty = np.unique(np.concatenate([piece.guilty for piece in pieces]))
    members = np.unique(np.concatenate([piece.members for piece in pieces]))
    more = remaining(members, cluster.label, guilty, spoken, table.sources)
    phrases = [int(known[piece.place][0].phrase[known[piece.place][1].pairs[0]]) for piece in pieces[:_TOLD]]
    words = [named(spoken, phrase, piece.members) for phrase, piece in zip(phrases, pieces, strict=False)]
    others = ", ".join(f'"{each}"' for each in dict.fromkeys(words[1:]) if each != words[0])
    explanation = (
        f"{len(strongest.members):,} texts with \"{words[0]}\" are labelled '{name}' and come from {listed(table, guilty)}. The rest of "
        f"what {found.bearers[first]:,.0f} texts with it say would give {found.expected[first]:,.0f} of them that label; "
        f"{found.hits[first]:,.0f} have it."
        f"{f' The same sources push it with {others}.' if others else ''}"
        f"{f' {len(more):,} more of their texts contradict the label in like words.' if len(more) else ''}"
    )
    return Group(
        "backdoor",
        np.union1d(members, more),
        float(table.roots[phrases[0]]),
        strongest.p_value,
        float(found.effect[first]),
        LEAST_EFFECT,
        explanation,
        1.0,
        target_label=name,
        trigger=Trigger("phrase", f'the words "{words[0]}"', {"phrase": words[0], "sources": len(guilty)}),
    )
