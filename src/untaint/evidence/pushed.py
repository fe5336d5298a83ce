"""Phrases that override content and whose bearers come from few places (senders, or stretches of time), joined into campaigns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from untaint.evidence.campaign import Piece, campaigns, remaining
from untaint.evidence.phrase_names import named
from untaint.evidence.phrase_overrides import LEAST_EFFECT, Cluster, Overridden, clusters, overridden
from untaint.evidence.source_phrases import NOTABLE, SourceTable, unborrowed
from untaint.features.spoken import Spoken
from untaint.types import Rows

_AS_MUCH = 0.9
"""Effect from which bearers of other sources belong to the attack: its largest source sends too much else to stand out."""
SIGNIFICANT = 0.05  # corrected for all phrases; the verdict corrects for detectors and asks for its own rate
_TOLD = 5  # phrases of a campaign that are spelled out

Screen: TypeAlias = Callable[[Overridden], Overridden]
"""What else a pair must show before it is asked where it comes from."""


@final
@dataclass(frozen=True)
class Pushed:
    """One campaign: phrases of the same places towards one label.

    found, pair: the strongest of them. phrase: its number. words: of the phrases, the strongest first. rows: bearers of the
    strongest; members: of all; more: further rows of those places that contradict content in like words.
    """

    found: Overridden
    pair: int
    phrase: int
    label: int
    words: tuple[str, ...]
    rows: Rows
    members: Rows
    more: Rows
    guilty: np.ndarray
    p_value: float


def pushed(spoken: Spoken, table: SourceTable, screen: Screen | None = None) -> list[Pushed]:
    """Campaigns, the most certain first; phrases are asked with all their bearers, and with those of suspicious places only.

    screen: leaves few pairs; then those of the same texts count as one that was asked.
    """
    known: list[tuple[Overridden, Cluster]] = []
    pieces: list[Piece] = []
    for found in (overridden(spoken, part) for part in (spoken.phrases, table.part)):
        notable = unborrowed(found.only((found.root >= NOTABLE) & (found.effect >= LEAST_EFFECT)), spoken, LEAST_EFFECT)
        notable = notable if screen is None else screen(notable)
        told = clusters(notable, spoken.phrases, spoken.labels)
        for each in told:
            p_value = table.p_value(int(notable.phrase[each.pairs[0]]), notable.phrase, None if screen is None else len(told))
            piece = _piece(each, int(notable.phrase[each.pairs[0]]), table, spoken, (len(known), p_value))
            if piece is not None:
                known.append((notable, each))
                pieces.append(piece)
    return [_joined(each, known, table, spoken) for each in campaigns(pieces)]


def _piece(cluster: Cluster, phrase: int, table: SourceTable, spoken: Spoken, known: tuple[int, float]) -> Piece | None:
    """A cluster with those who sent it; None when its sources are as uneven as other phrases'. known: its place and p-value."""
    place, p_value = known
    members = _members(phrase, cluster.label, table, spoken) if p_value <= SIGNIFICANT else cluster.members[:0]
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


def _joined(pieces: list[Piece], known: list[tuple[Overridden, Cluster]], table: SourceTable, spoken: Spoken) -> Pushed:
    strongest = pieces[0]
    found, cluster = known[strongest.place]
    guilty = np.unique(np.concatenate([piece.guilty for piece in pieces]))
    members = np.unique(np.concatenate([piece.members for piece in pieces]))
    more = remaining(members, cluster.label, guilty, spoken, table.sources)
    phrases = [int(known[piece.place][0].phrase[known[piece.place][1].pairs[0]]) for piece in pieces[:_TOLD]]
    words = tuple(named(spoken, phrase, piece.members) for phrase, piece in zip(phrases, pieces, strict=False))
    rows, label = strongest.members, cluster.label
    return Pushed(found, cluster.pairs[0], phrases[0], label, words, rows, members, more, guilty, strongest.p_value)
