"""Phrases with answers that say one thing in several wordings, none of which is common enough to be seen by itself."""

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
from scipy.special import gammaln

from untaint.evidence.link_candidates import SURE, Candidate, Columns, blocks, telling
from untaint.features.instruction_marks import Marks
from untaint.numerics.links import Pairs, surprise_of
from untaint.types import Rows

FEWEST = 2
"""Answers of a wording: one alone is no wording."""
WORDINGS = 5
"""A wording must be worth the choice of it among all: beside four others that costs a fifth of what it costs by itself."""
_LEAST = 8  # prompts of a phrase: of fewer nothing is ever accused


def weaker(phrases: int) -> float:
    """Nats, beside those of the best of all pairs, from which a wording may be one of several."""
    return -float(np.log(max(1, phrases) * WORDINGS))


def by_wordings(pairs: Pairs, asked: Columns, answered: Columns, marks: Marks) -> list[Candidate]:
    """Each phrase of some weak pairs with the marks that together are beyond chance.

    Some marks together are a choice among all sets of as many: their surprise is that of the union of their answers less the
    logarithm of the number of such sets.
    """
    few = pairs.kept(asked.sizes[pairs.first] >= _LEAST)
    phrases, kinds = len(asked.sizes), len(answered.sizes)
    found: list[Candidate] = []
    union = _Wordings(asked.n, answered)
    for block in _promising(few, phrases, kinds):
        trigger, every = int(few.first[block[0]]), few.second[block].tolist()
        bearers = asked.rows(trigger)
        chosen, paid, net = union.clearest(bearers, every)
        total, surprise = net - float(np.log(phrases)), net + float(np.log(kinds))
        if total >= SURE:
            held = dict(zip(every, few.both[block].tolist(), strict=True))
            told = (trigger,), telling(chosen, held, marks), bearers, paid, surprise, False, asked.n, total
            found.append(Candidate(*told))
    return found


def _promising(pairs: Pairs, phrases: int, kinds: int) -> Iterator[np.ndarray]:
    """Pairs of each phrase that could reach certainty if no two of its marks shared an answer."""
    worth = np.maximum(pairs.surprise - np.log(max(1, kinds) / WORDINGS), 0.0)
    sums = np.bincount(pairs.first, worth, minlength=phrases)
    for block in blocks(pairs.first, pairs):
        if sums[pairs.first[block[0]]] >= np.log(phrases) + SURE - np.log(WORDINGS):
            yield block


@final
class _Wordings:
    """Sets of answers joined one by one; see `link_candidates`."""

    def __init__(self, n: int, answered: Columns) -> None:
        self._inside, self._joined = np.zeros(n, bool), np.zeros(n, bool)
        self._answered, self._n = answered, n

    def clearest(self, bearers: Rows, marks: Sequence[int]) -> tuple[list[int], Rows, float]:
        """Marks, the clearest first, that add more than the choice of one more costs; their answers; the surprise left."""
        chosen: list[int] = []
        size, hits, net = 0, 0, 0.0
        self._inside[bearers] = True
        for mark in marks:
            rows = self._answered.rows(mark)
            new = rows[~self._joined[rows]]
            more = hits + int(self._inside[new].sum())
            if more == hits:
                continue
            wider = size + len(new)
            told = surprise_of(more, len(bearers), wider / self._n) - _choices(len(self._answered.sizes), len(chosen) + 1)
            if not chosen or told > net:
                chosen.append(mark)
                size, hits, net = wider, more, told
                self._joined[new] = True
        paid = self._answered.union(chosen)
        self._inside[bearers] = self._joined[paid] = False
        return chosen, paid, net


def _choices(kinds: int, size: int) -> float:
    """Logarithm of the number of sets of so many marks."""
    return float(gammaln(kinds + 1) - gammaln(size + 1) - gammaln(kinds - size + 1))
