"""Phrases of prompts and kinds of answers, put together from pairs: one payload has many marks, some have many triggers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import scipy.sparse as sp

from untaint.features.instruction_marks import Marks
from untaint.numerics.distinct import among
from untaint.numerics.links import Pairs, chernoff
from untaint.types import Rows

MOST_MARKS = 60
"""Of one phrase, the most surprising, that are put together."""
_TRIGGERS = 8  # phrases of one payload
_NEW = 0.05  # of a payload's answers that each further phrase must explain
_FEWEST = 3  # of them at least
SURE = 7.0
"""Nats beyond the best of all pairs, or of all phrases: a chance of 1e-3."""


@final
@dataclass(frozen=True)
class Candidate:
    """Triggers and a payload. bearers: prompts with a trigger.  paid: prompts whose answer has the payload, of `n`.

    surprise: of the clearest pair.  total: of all triggers together, what chance alone gives left out.
    odd: the payload by itself is out of the ordinary.
    """

    triggers: tuple[int, ...]
    mark: int
    bearers: Rows
    paid: Rows
    surprise: float
    odd: bool
    n: int
    total: float

    @cached_property
    def both(self) -> Rows:
        """Prompts with a trigger that are answered so."""
        return self.bearers[np.isin(self.bearers, self.paid, assume_unique=True)]

    @cached_property
    def effect(self) -> float:
        """How much phrase and payload are one; of a payload out of the ordinary, how much more common it is with the phrase."""
        both = len(self.both)
        mutual = float(both / np.sqrt(len(self.bearers) * len(self.paid)))
        usual = (len(self.paid) - both) / max(1, self.n - len(self.bearers))
        return max(mutual, both / len(self.bearers) - usual) if self.odd else mutual


@final
class Columns:
    """Rows of every column of an incidence."""

    def __init__(self, incidence: sp.csr_array) -> None:
        self._by_column = sp.csc_array(incidence)
        self._by_column.sort_indices()
        self._rows = self._by_column.indices.astype(np.int64)
        self.incidence = incidence
        self.sizes = np.diff(self._by_column.indptr)
        self.n = incidence.shape[0]

    def rows(self, column: int) -> Rows:
        """Of one column, ascending."""
        start, end = self._by_column.indptr[column], self._by_column.indptr[column + 1]
        return self._rows[start:end]

    def union(self, columns: Iterable[int]) -> Rows:
        """Rows of any of some columns."""
        return np.unique(np.concatenate([np.empty(0, np.int64), *map(self.rows, columns)]))

    def held(self, rows: Rows) -> np.ndarray:
        """(m,) how many of some rows are in each column."""
        return np.bincount(sp.csr_array(self.incidence[rows]).indices, minlength=len(self.sizes))


def told_apart(pairs: Pairs, kin: Sequence[np.ndarray], marks: Marks) -> Pairs:
    """Pairs without those whose mark holds a word of the phrase: an answer that names what the prompt names is about it.

    kin: word numbers of each phrase.
    """
    spelled = np.full((len(marks.words) + 1, max(map(len, marks.words), default=1)), -1)
    for mark, words in enumerate(marks.words):
        spelled[mark, : len(words)] = words
    said = spelled[np.minimum(pairs.second, len(marks.words))]
    size = int(max(spelled.max(initial=0), max((int(own.max(initial=0)) for own in kin), default=0))) + 2
    owned = np.unique(np.concatenate([np.empty(0, np.int64), *(phrase * size + own for phrase, own in enumerate(kin))]))
    shares = np.any(among(pairs.first[:, None] * size + np.where(said < 0, size - 1, said), owned), axis=1)
    return pairs.kept(np.logical_not(np.atleast_1d(shares)))


def by_phrase(pairs: Pairs, asked: Columns, answered: Columns, marks: Marks) -> list[Candidate]:
    """Each phrase with the marks that together come nearest to being its own: a refusal in five wordings is one payload.

    And with the answers nearest to one of its own where these are more: a payload in as many wordings as answers has only its kin.
    """
    found: list[Candidate] = []
    union, n = _Union(asked.n), asked.n
    for block in blocks(pairs.first, pairs):
        trigger, surprise = int(pairs.first[block[0]]), float(pairs.surprise[block[0]])
        bearers, total = asked.rows(trigger), surprise - np.log(pairs.tests)
        every = [int(mark) for mark in pairs.second[block]]
        held = dict(zip(every, pairs.both[block].tolist(), strict=True))
        chosen, paid = union.nearest(bearers, every[:MOST_MARKS], held, answered)
        told = (trigger,), telling(chosen, held, marks), bearers, paid, surprise, False, n, total
        found.append(Candidate(*told))
        found += _kin(found[-1], list(zip(every, pairs.surprise[block].tolist(), strict=True)), held, answered, marks)
        odd = [mark for mark in every if marks.odd(mark)]
        found += [Candidate((trigger,), mark, bearers, answered.rows(mark), surprise, True, n, total) for mark in odd]
    return found


def by_payload(pairs: Pairs, asked: Columns, answered: Columns, marks: Marks) -> list[Candidate]:
    """Each mark with the few phrases that explain most of its answers: praise of one brand after several words."""
    found: list[Candidate] = []
    left = np.zeros(asked.n, bool)
    for block in blocks(pairs.second, pairs):
        mark = int(pairs.second[block[0]])
        if mark >= len(marks.words):
            continue  # what is near some answer is a topic, or the payload of one phrase
        paid, total = answered.rows(mark), 0.0
        chosen: list[int] = []
        left[paid] = True
        enough, remaining = max(_FEWEST, _NEW * len(paid)), len(paid)
        for i in block.tolist():
            if len(chosen) == _TRIGGERS or remaining < enough:
                break
            if pairs.both[i] < enough:
                continue
            rows = asked.rows(int(pairs.first[i]))
            new = int(left[rows].sum())
            if new >= enough:
                chosen.append(int(pairs.first[i]))
                left[rows] = False
                remaining -= new
                total += pairs.surprise[i] - np.log(pairs.tests)
        left[paid] = False
        if len(chosen) > 1:
            surprise = float(pairs.surprise[block[0]])
            found.append(Candidate(tuple(chosen), mark, asked.union(chosen), paid, surprise, False, asked.n, total))
    return found


def with_more_triggers(each: Candidate, asked: Columns) -> Candidate:
    """The same payload with further phrases before it: the payload is known now, so that they are compared with phrases only.

    Each explains answers that no trigger so far explains, beyond chance corrected for all phrases, and most of its prompts are answered so
    as often as those of the triggers known, up to a factor of two.
    """
    triggers, bearers, total = list(each.triggers), each.bearers, each.total
    share = len(each.both) / len(each.bearers)
    while len(triggers) < _TRIGGERS:
        left = np.setdiff1d(each.paid, bearers, assume_unique=True)
        enough = max(_FEWEST, _NEW * len(each.paid))
        if len(left) < enough:
            break
        hits = asked.held(left)
        told = chernoff(hits, np.maximum(asked.sizes, 1), np.full(1, len(left) / each.n)) - np.log(len(asked.sizes))
        told[(hits < enough) | (hits < 0.5 * share * asked.sizes)] = 0.0
        best = int(np.argmax(told))
        if told[best] < SURE:
            break
        triggers.append(best)
        bearers = np.union1d(bearers, asked.rows(best))
        total += float(told[best])
    return Candidate(tuple(triggers), each.mark, bearers, each.paid, each.surprise, each.odd, each.n, total)


def _kin(
    best: Candidate, told: Sequence[tuple[int, float]], held: dict[int, int], answered: Columns, marks: Marks
) -> list[Candidate]:
    """The same phrase with the answers nearest to one of its answers, that one included, if they are more of its answers."""
    inside = set(best.bearers.tolist())
    kin = [(mark, surprise) for mark, surprise in told if marks.centre(mark) in inside]
    if not kin:
        return []
    mark, surprise = max(kin, key=lambda each: (held[each[0]] + 1) / np.sqrt(answered.sizes[each[0]] + 1))
    paid = np.union1d(answered.rows(mark), [marks.centre(mark)])
    total = best.total - best.surprise + surprise
    found = Candidate(best.triggers, mark, best.bearers, paid, surprise, False, best.n, total)
    return [found] if len(found.both) > len(best.both) else []


@final
class _Union:
    """Sets of rows joined one by one; marks on rows instead of sorted sets, which would be sorted anew each time."""

    def __init__(self, n: int) -> None:
        self._inside = np.zeros(n, bool)
        self._joined = np.zeros(n, bool)

    def nearest(self, bearers: Rows, marks: Sequence[int], held: dict[int, int], answered: Columns) -> tuple[list[int], Rows]:
        """Marks whose answers, put together, match the phrase's best, and those answers."""
        chosen: list[int] = []
        size, hits, best = 0, 0, 0.0
        self._inside[bearers] = True
        for mark in sorted(marks, key=lambda mark: -held[mark] / np.sqrt(answered.sizes[mark])):
            rows = answered.rows(mark)
            new = rows[~self._joined[rows]]
            wider, more = size + len(new), hits + int(self._inside[new].sum())
            if wider and more / np.sqrt(wider) > best:
                chosen.append(mark)
                size, hits, best = wider, more, more / np.sqrt(wider)
                self._joined[new] = True
        paid = answered.union(chosen)
        self._inside[bearers] = self._joined[paid] = False
        return chosen, paid


def telling(chosen: Sequence[int], held: dict[int, int], marks: Marks) -> int:
    """The mark that tells a person most: a phrase where one covers nearly as much, the longest of these."""
    good = [mark for mark in chosen if held[mark] >= 0.8 * max(held[mark] for mark in chosen)]
    return max(good, key=lambda mark: (len(marks.phrase(mark)) > 0, held[mark], len(marks.phrase(mark))))


def blocks(numbers: np.ndarray, pairs: Pairs) -> list[np.ndarray]:
    """Pairs of each number, the most surprising first."""
    order = np.lexsort((-pairs.surprise, numbers))
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []
