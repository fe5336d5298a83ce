"""Findings of the same senders towards the same label are one campaign; what is left of it among what they sent is looked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from untaint.features.canvas import Sources
from untaint.features.phrases import TOGETHER
from untaint.features.spoken import Spoken
from untaint.types import Rows

_SHARED = 0.5  # of the sources of the smaller of two findings
_FEWEST = 8  # accused texts that teach what the rest looks like
_FALSE = 0.1  # of what is taken along: a tenth, as the flags of a finding
_ROUNDS = 4  # 8 add nothing
_TAUGHT = 40  # honest texts for every planted one that is learned from: more teach nothing new
_HONEST = 20_000  # texts of other sources that are read: a ten-thousandth is seen


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
    """Further rows of the campaign: from its sources, with its label, and worded like its members as honest texts hardly are.

    How texts of all other sources with the label are worded is the null: of the rows taken, a tenth at most would be expected if these
    sources wrote like them (a false-discovery rate). What was taken helps to tell what the campaign is worded like, a few times over.
    Nothing is taken whose content does not contradict the label about as much as the members' does.
    """
    theirs, others = np.isin(sources.codes, guilty) & spoken.has(label), ~np.isin(sources.codes, guilty) & (sources.codes >= 0)
    theirs[members] = others[members] = False
    asked, honest = np.flatnonzero(theirs), np.flatnonzero(others & spoken.has(label))
    honest = honest[:: max(1, -(-len(honest) // _HONEST))]
    if len(members) < _FEWEST or len(asked) == 0 or len(honest) < _FEWEST:
        return np.empty(0, np.int64)
    wording = _wording(np.concatenate([members, asked, honest]), label, spoken)
    first, last = len(members), len(members) + len(asked)
    rng, taken = np.random.default_rng(0), np.zeros(len(asked), bool)
    for _ in range(_ROUNDS):
        before, learned = taken, np.concatenate([np.ones(first, bool), taken])
        scores = _likeness(wording, np.flatnonzero(learned), first, last, rng)
        taken = _beyond(scores[first:last], scores[last:])
        if not taken.any() or (taken == before).all():
            break
    found, believed = asked[taken], spoken.content.probabilities[:, label]
    doubted = taken.any() and believed[found].mean() <= (believed[members].mean() + believed[honest].mean()) / 2
    return found if doubted else np.empty(0, np.int64)


def _wording(rows: Rows, label: int, spoken: Spoken) -> csr_matrix:
    """(m, d) words, runs and skeletons of some texts, each kind of length 1, and how far content is from the label."""
    phrases, place = spoken.phrases, np.full(len(spoken.labels), -1)
    place[rows] = np.arange(len(rows))
    used = (phrases.place[phrases.feature] != TOGETHER) & (place[phrases.row] >= 0)
    held = (np.ones(int(used.sum()), np.float32), (place[phrases.row[used]], phrases.feature[used]))
    runs = csr_matrix(held, shape=(len(rows), len(phrases)))
    runs.data /= np.repeat(np.sqrt(np.maximum(np.diff(runs.indptr), 1)), np.diff(runs.indptr)).astype(np.float32)
    against = csr_matrix(1 - np.nan_to_num(spoken.content.probabilities[rows, label], nan=1.0)[:, None])
    return csr_matrix(hstack([spoken.content.counts[rows], runs, against]))


def _likeness(wording: csr_matrix, learned: np.ndarray, first: int, last: int, rng: np.random.Generator) -> np.ndarray:
    """(m,) log odds that a text is worded like those learned from rather than like honest ones, by a model that saw it in no role.

    Rows before `first` are members, always learned from; those before `last` are asked about; the rest are honest.
    """
    half, scores = rng.random(wording.shape[0]) < 0.5, np.zeros(wording.shape[0])
    rows = np.arange(wording.shape[0])
    for mine in (half, ~half):
        planted = learned[(learned < first) | mine[learned]]
        honest = np.flatnonzero(mine & (rows >= last))
        honest = honest[:: max(1, -(-len(honest) // (_TAUGHT * len(planted))))]
        told = np.concatenate([np.ones(len(planted)), np.zeros(len(honest))])
        model = LogisticRegression(C=3.0, class_weight="balanced", max_iter=100)
        scores[~mine] = model.fit(wording[np.concatenate([planted, honest])], told).decision_function(wording[~mine])
    return scores


def _beyond(asked: np.ndarray, honest: np.ndarray) -> np.ndarray:
    """(m,) bool, as many of the highest scores as the false-discovery rate allows."""
    order, usual = np.argsort(-asked, kind="stable"), np.sort(honest)
    chance = (len(usual) - np.searchsorted(usual, asked[order]) + 1) / (len(usual) + 1)
    within = np.flatnonzero(chance * len(asked) <= _FALSE * np.arange(1, len(asked) + 1))
    taken = np.zeros(len(asked), bool)
    taken[order[: within.max(initial=-1) + 1]] = True
    return taken
