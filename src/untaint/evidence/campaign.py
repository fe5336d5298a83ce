"""Findings of the same senders towards the same label are one campaign; what is left of it among what they sent is looked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.linear_model import LogisticRegression

from untaint.features.canvas import Sources
from untaint.features.spoken import Spoken
from untaint.types import Rows

_SHARED = 0.5  # of the sources of the smaller of two findings
_FEWEST = 8  # accused texts that teach what the rest looks like
_DOUBTED = 0.5  # of chance: content speaks against the label
_EXCESS = 3.0  # standard units by which these sources must still contradict content more than others


@final
@dataclass(frozen=True)
class Piece:
    """One finding: its place, label, sources (numbers), rows and p-value."""

    place: int
    label: int
    guilty: np.ndarray
    members: Rows
    p_value: float


def campaigns(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces joined that push one label from the same sources, the most certain first in each."""
    joined: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda each: (each.p_value, -len(each.members))):
        home = next((each for each in joined if _alike(piece, each[0])), None)
        if home is None:
            joined.append([piece])
        else:
            home.append(piece)
    return joined


def _alike(a: Piece, b: Piece) -> bool:
    shared = len(np.intersect1d(a.guilty, b.guilty))
    return a.label == b.label and shared >= max(1, _SHARED * min(len(a.guilty), len(b.guilty)))


def remaining(members: Rows, label: int, guilty: np.ndarray, spoken: Spoken, sources: Sources) -> Rows:
    """Further rows of the campaign: from its sources, with its label against what they say, and worded like its members.

    As many as these sources contradict content more often than all others do with this label, the most alike first. None where
    that excess is no more than chance.
    """
    labels, believed = spoken.labels, spoken.content.probabilities[:, label]
    doubted = (labels == label) & (believed < _DOUBTED / spoken.content.probabilities.shape[1])
    theirs = np.isin(sources.codes, guilty) & (labels == label)
    theirs[members] = False
    others = ~np.isin(sources.codes, guilty) & (labels == label)
    if len(members) < _FEWEST or not theirs.any() or not others.any():
        return np.empty(0, np.int64)
    usual = float(doubted[others].mean())
    due = usual * theirs.sum()
    seen = int((theirs & doubted).sum())
    if (seen - due) / np.sqrt(max(due, 1.0)) < _EXCESS:
        return np.empty(0, np.int64)
    rows = np.flatnonzero(theirs & doubted)
    order = np.argsort(-_likeness(members, rows, np.flatnonzero(others), spoken), kind="stable")
    return np.sort(rows[order[: int(seen - due)]])


def _likeness(members: Rows, rows: Rows, others: Rows, spoken: Spoken) -> np.ndarray:
    """(m,) log odds that a text is worded like the members rather than like honest texts with the label."""
    rng = np.random.default_rng(0)
    some = rng.choice(others, min(len(others), 20 * len(members)), replace=False)
    learn = np.concatenate([members, some])
    told = np.concatenate([np.ones(len(members)), np.zeros(len(some))])
    model = LogisticRegression(C=3.0, class_weight="balanced", max_iter=100).fit(spoken.content.counts[learn], told)
    return np.asarray(model.decision_function(spoken.content.counts[rows]))
