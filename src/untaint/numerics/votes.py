"""Elections among models that were trained apart, and how many poisoned rows each result provably withstands.

A row of the training data reaches only the models its part was given to: one of them under deep partition aggregation (Levine and Feizi
2021, arXiv 2006.14768), `d` under finite aggregation (Wang, Levine and Feizi 2022, arXiv 2202.02628). Whoever poisons r rows therefore
says what the models of r parts answer, and nothing else. The election is by plurality, or a run-off (Rezaei, Banihashem, Chegini and
Feizi 2023, arXiv 2302.02300): each model votes for its first class, then each says which of the two leading classes it prefers.

All radii rest on one argument. To lift one class over another, a gap of votes has to be closed; each model can close at most so much of
it (its *push*); so r parts close at most the sum of the r largest sums of pushes. A class falls when several gaps are closed at once:
then each of them is a bound, and so is their sum. Ties go to the class of lower number, before the attack and after it.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, TypeAlias, final

import numpy as np

from untaint.types import Labels

Rule: TypeAlias = Literal["plurality", "run-off"]
_RIVALS: Final = 6
"""Pairs that could overtake the winner together are looked at among its nearest rivals; a pair with any other is held off for as long as
the next rival alone is, which is a bound as well. Keeps the cost of hundreds of classes down; 6 rivals miss nothing on ten digits."""
_CELLS: Final = 20_000_000  # numbers of one chunk's largest array: 80 MB


@final
@dataclass(frozen=True)
class Elected:
    """Results of n elections. labels (n,) winners.  votes (n, k) of the first round.  tied (n,) the rule for ties mattered.

    radii (n,): the winner stays whatever up to that many inserted or deleted rows do; never more than the number of parts less one.
    """

    labels: Labels
    votes: np.ndarray
    radii: np.ndarray
    tied: np.ndarray


def elect(scores: np.ndarray, reach: np.ndarray, rule: Rule = "run-off") -> Elected:
    """The elections of n rows by m models with scores (n, m, k), k >= 2. reach: (parts, d) numbers of the models a part is given to.

    A model whose scores for a row are not all finite prefers the classes in the order of their numbers.
    """
    step = max(1, _CELLS // max(1, scores.shape[1] * scores.shape[2]))
    decide = _run_off if rule == "run-off" else _plurality
    found = [decide(*_ballots(scores[start : start + step]), reach) for start in range(0, max(len(scores), 1), step)]
    return Elected(*(np.concatenate([getattr(each, name) for each in found]) for name in ("labels", "votes", "radii", "tied")))


def _ballots(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Usable scores (n, m, k), first choices (n, m), and votes (n, k)."""
    broken = ~np.isfinite(scores).all(axis=2)
    if broken.any():
        scores = np.where(broken[..., None], -np.arange(scores.shape[2], dtype=scores.dtype), scores)
    first = scores.argmax(axis=2)
    votes = np.stack([(first == code).sum(axis=1) for code in range(scores.shape[2])], axis=1)
    return scores, first, votes


def _plurality(_scores: np.ndarray, first: np.ndarray, votes: np.ndarray, reach: np.ndarray) -> Elected:
    winner = votes.argmax(axis=1)
    radii = _overtaken(first, votes, winner, reach).min(axis=1) - 1
    return Elected(winner, votes, radii, _level(votes, winner))


def _run_off(scores: np.ndarray, first: np.ndarray, votes: np.ndarray, reach: np.ndarray) -> Elected:
    n, classes = votes.shape
    order = np.argsort(-votes, axis=1, kind="stable")
    low, high = np.sort(order[:, :2], axis=1).T
    rows = np.arange(n)
    for_low = (_of(scores, low) >= _of(scores, high)).sum(axis=1)
    winner = np.where(2 * for_low >= scores.shape[1], low, high)
    alone = _overtaken(first, votes, winner, reach)
    least = _both_overtake(first, votes, winner, alone, reach)
    other = np.where(order[:, 0] == winner, order[:, 1], order[:, 0])
    third = order[:, 2] if classes > 2 else other
    mine = _of(scores, winner)
    tied = (2 * for_low == scores.shape[1]) | ((classes > 2) & (votes[rows, winner] == votes[rows, third]))
    for code in range(classes):
        rival = np.full(n, code)
        prefers = np.where((winner < code)[:, None], mine >= scores[:, :, code], mine > scores[:, :, code])
        duel = 2 * prefers.sum(axis=1) - scores.shape[1] + (winner < code)
        tied |= (
            (code != winner) & (votes[:, code] == votes[rows, other]) & (duel <= 0)
        )  # it could have been in the run-off, and won
        push = 2 * prefers.astype(np.int16)
        bound = parts_needed(duel, push, reach)
        if classes > 2:  # the rival must also be second to the winner alone: over whoever else is ahead
            ahead = np.where(other == code, third, other)
            gap = votes[rows, ahead] - votes[:, code] + (ahead < code)
            lift = _push(first, ahead, rival)
            bound = np.maximum(bound, parts_needed(gap, lift, reach))
            bound = np.maximum(bound, parts_needed(duel + gap, push + lift, reach))
        least = np.where(winner == code, least, np.minimum(least, bound))
    return Elected(winner, votes, least - 1, tied)


def _both_overtake(first: np.ndarray, votes: np.ndarray, winner: Labels, alone: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(n,) parts needed before two classes have more votes than the winner in the first round, so that it is in no run-off."""
    classes, rows = votes.shape[1], np.arange(len(votes))
    most = np.full(len(votes), len(reach))
    if classes < 3:
        return most
    near = np.argsort(alone, axis=1, kind="stable")[:, :_RIVALS]
    least = np.sort(alone, axis=1)[:, _RIVALS] if classes - 1 > _RIVALS else most  # the winner itself stands last
    for one, two in combinations(range(min(_RIVALS, classes - 1)), 2):
        a, b = near[:, one], near[:, two]
        gap = 2 * votes[rows, winner] - votes[rows, a] - votes[rows, b] + (winner < a) + (winner < b)
        push = np.where(first == winner[:, None], 3, (first != a[:, None]) & (first != b[:, None])).astype(np.int16)
        bound = np.maximum(parts_needed(gap, push, reach), np.maximum(alone[rows, a], alone[rows, b]))
        least = np.minimum(least, bound)
    return np.minimum(least, most)


def _overtaken(first: np.ndarray, votes: np.ndarray, winner: Labels, reach: np.ndarray) -> np.ndarray:
    """(n, k) parts needed before each class has more first votes than the winner; all of them and one for the winner itself."""
    rows = np.arange(len(votes))
    needed = np.full(votes.shape, len(reach) + 1)
    for code in range(votes.shape[1]):
        gap = votes[rows, winner] - votes[:, code] + (winner < code)
        bound = parts_needed(gap, _push(first, winner, np.full(len(votes), code)), reach)
        needed[:, code] = np.where(winner == code, needed[:, code], bound)
    return needed


def _push(first: np.ndarray, ahead: Labels, behind: Labels) -> np.ndarray:
    """(n, m) by how much each model can narrow the lead of one class over another: 2 from the one to the other, 1 from a third."""
    return 1 + (first == ahead[:, None]).astype(np.int16) - (first == behind[:, None]).astype(np.int16)


def parts_needed(gap: np.ndarray, push: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(n,) fewest parts whose models' pushes (n, m) sum to at least the gap (n,); at most all parts, which can do anything."""
    sums = push[:, reach[:, 0]] if reach.shape[1] == 1 else sum(push[:, column].astype(np.int32) for column in reach.T)
    reached = np.cumsum(-np.sort(-sums, axis=1), axis=1, dtype=np.int64)
    return np.where(gap <= 0, 0, np.minimum((reached < gap[:, None]).sum(axis=1) + 1, len(reach)))


def _of(scores: np.ndarray, codes: Labels) -> np.ndarray:
    """(n, m) every model's score of one class per row."""
    return np.take_along_axis(scores, codes[:, None, None], axis=2)[..., 0]


def _level(votes: np.ndarray, codes: Labels) -> np.ndarray:
    """(n,) whether another class has as many votes as the given one."""
    return np.asarray((votes == np.take_along_axis(votes, codes[:, None], axis=1)).sum(axis=1) > 1)
