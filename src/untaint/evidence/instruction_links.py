"""From pairs of a phrase and a kind of answer to links a person can judge: triggers, payload, and how natural they are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.sparse as sp

from untaint.features.instruction_marks import Marks
from untaint.features.instruction_meaning import Likeness, Meaning
from untaint.features.instruction_words import LEAST, PromptRuns, Spoken
from untaint.numerics.links import Pairs, together
from untaint.numerics.words import spans, words
from untaint.types import Rows

LEAST_EFFECT = 0.4
"""Geometric mean of the share of the phrase's prompts answered so and of the share of such answers that have the phrase: of a
topic's words one or the other is small."""
_SURE = 7.0  # nats beyond the best of all pairs: a chance of 1e-3
_MARKS = 60  # of one phrase, the most surprising, that are put together
_TRIGGERS = 8  # phrases of one payload
_NEW = 0.05  # of a payload's answers that each further phrase must explain
_UNLIKE = 3.0  # standard deviations: random sets are beyond it in one of a hundred cases, both tests taken together
_ROOM = 2.0  # the same, from a set's likeness up to what honest links have
_HONEST = 0.05  # quantile of the likeness of honest links of the same data that counts as the least honest one
_LEAST_HONEST, _MOST_HONEST, _NARROW, _WIDE = 0.03, 0.05, 2.5, 3.5
"""Bounds of it: collections in 28 languages have 0.046; what a set on one topic has must not open the gate, only as wide as random sets
of that topic differ."""
_MANY = 8  # prompts: honest links of so many are hardly ever as unlike as a random set; of five to seven one in ten is
_KNOWN = 20  # links of a size, below which a quantile of them says nothing
_ALIKE_SIZE = (0.7, 1.5)  # times a link's prompts: likeness is known the better the more there are
_KIN = 0.45  # cosine between a phrase and its answer's phrase: nouns of one topic are above, unrelated ones under 0.3
_WHOLE = 0.8  # of a phrase's prompts that have the payload: the rest has it in words of its own, and is accused with them
_OWN = 0.8  # of all answers with three words in a row that have the phrase: the phrase's own
_JUDGED = 3000  # candidates whose prompts are compared, the clearest first
_HELD = 0.5  # of a candidate's rows in a clearer one: the same finding


@final
@dataclass(frozen=True)
class Link:
    """One payload with its triggers; rows count distinct prompts.

    triggers: (number of the phrase, rows with it that have the payload).  mark: the payload's clearest mark.
    bearers: prompts with a trigger; both: those of them with the payload; elsewhere: other prompts with it.
    doubt: what speaks for a natural cause.
    """

    triggers: tuple[tuple[int, Rows], ...]
    mark: int
    members: Rows
    bearers: int
    both: int
    elsewhere: int
    surprise: float
    p_value: float
    effect: float
    tests: int
    likeness: Likeness
    contradiction: float
    doubt: str


@final
@dataclass(frozen=True)
class _Candidate:
    triggers: tuple[int, ...]
    mark: int
    bearers: Rows
    paid: Rows
    surprise: float
    odd: bool
    n: int
    total: float  # surprise of all triggers together, what chance alone gives left out

    @property
    def both(self) -> Rows:
        return np.intersect1d(self.bearers, self.paid)

    @property
    def effect(self) -> float:
        """How much phrase and payload are one; of a payload out of the ordinary, how much more common it is with the phrase."""
        both = len(self.both)
        mutual = float(both / np.sqrt(len(self.bearers) * len(self.paid)))
        usual = (len(self.paid) - both) / max(1, self.n - len(self.bearers))
        return max(mutual, both / len(self.bearers) - usual) if self.odd else mutual


def links(spoken: Spoken, runs: PromptRuns, marks: Marks, meaning: Meaning) -> list[Link]:
    """Links of diverse prompts, the clearest first; those that hold natural causes are told so."""
    first = runs.runs.incidence
    pairs = together(first, marks.incidence, LEAST, _SURE)
    columns = _Columns(first), _Columns(marks.incidence)
    candidates = _by_phrase(pairs, *columns, marks) + _by_payload(pairs, *columns, marks)
    candidates = sorted((each for each in candidates if each.effect >= LEAST_EFFECT), key=lambda each: -each.total)[:_JUDGED]
    rng = np.random.default_rng(0)
    near = [meaning.likeness(each.both, _own_words(each, first, columns[0], runs), rng) for each in candidates]
    found: list[Link] = []
    held: list[Rows] = []
    for each, likeness in zip(candidates, near, strict=True):
        if max(likeness.meaning, likeness.words) > _UNLIKE or any(np.isin(each.both, rows).mean() > _HELD for rows in held):
            continue
        if len(each.both) < _MANY or likeness.cosine - likeness.usual + _ROOM * likeness.spread > _honest(
            len(each.both), likeness.spread, candidates, near
        ):
            continue  # so few prompts may be unlike by chance
        doubt = _doubt(each, max(_kinship(each, number, runs, marks, meaning) for number in each.triggers))
        link = _link(each, likeness, doubt, columns[0], pairs.tests, _also(each, spoken))
        held.append(link.members)
        found.append(link)
    return sorted(found, key=lambda link: (-link.contradiction, -link.surprise))


def phrase_of(prompt: str, kin: np.ndarray, vocabulary: Sequence[str]) -> str:
    """The longest run of words of a phrase in a prompt, as written."""
    own = {vocabulary[word] for word in kin}
    inside = [word in own for word in words(prompt)]
    best, start = (0, 0), None
    for place, hit in enumerate([*inside, False]):
        if hit:
            start = place if start is None else start
        elif start is not None:
            best, start = max(best, (start, place), key=lambda span: span[1] - span[0]), None
    places = spans(prompt)
    return prompt[places[best[0]][0] : places[best[1] - 1][1]] if best[1] else ""


@final
class _Columns:
    """Rows of every column of an incidence."""

    def __init__(self, incidence: sp.csr_array) -> None:
        self._by_column = sp.csc_array(incidence)
        self.sizes = np.diff(self._by_column.indptr)
        self.n = incidence.shape[0]

    def rows(self, column: int) -> Rows:
        start, end = self._by_column.indptr[column], self._by_column.indptr[column + 1]
        return np.sort(self._by_column.indices[start:end]).astype(np.int64)

    def union(self, columns: Sequence[int]) -> Rows:
        return np.unique(np.concatenate([np.empty(0, np.int64), *map(self.rows, columns)]))


def _by_phrase(pairs: Pairs, asked: _Columns, answered: _Columns, marks: Marks) -> list[_Candidate]:
    """Each phrase with the marks that together come nearest to being its own: a refusal in five wordings is one payload."""
    found = []
    for block in _blocks(pairs.first, pairs):
        trigger, best = int(pairs.first[block[0]]), int(block[0])
        bearers = asked.rows(trigger)
        surprise = float(pairs.surprise[best])
        odd = [i for i in block.tolist() if marks.odd(int(pairs.second[i]))]
        chosen, paid = _own(bearers, [int(pairs.second[i]) for i in block], answered)
        total = surprise - np.log(pairs.tests)
        found.append(
            _Candidate((trigger,), _telling(chosen, bearers, answered, marks), bearers, paid, surprise, False, asked.n, total)
        )
        for i in odd:
            mark = int(pairs.second[i])
            found.append(_Candidate((trigger,), mark, bearers, answered.rows(mark), surprise, True, asked.n, total))
    return found


def _own(bearers: Rows, ordered: Sequence[int], answered: _Columns) -> tuple[list[int], Rows]:
    """Marks whose answers, put together, match the phrase's best, and those answers."""
    rows = {mark: answered.rows(mark) for mark in ordered[:_MARKS]}
    held = {mark: np.isin(found, bearers).sum() / np.sqrt(len(found)) for mark, found in rows.items()}
    chosen: list[int] = []
    paid, best = np.empty(0, np.int64), 0.0
    for mark in sorted(rows, key=lambda mark: -held[mark]):
        wider = np.union1d(paid, rows[mark])
        match = np.isin(wider, bearers).sum() / np.sqrt(len(wider))
        if match > best:
            chosen, paid, best = [*chosen, mark], wider, match
    return chosen, paid


def _telling(chosen: Sequence[int], bearers: Rows, answered: _Columns, marks: Marks) -> int:
    """The mark that tells a person most: a phrase where one covers nearly as much, the longest of these."""
    covered = {mark: int(np.isin(answered.rows(mark), bearers).sum()) for mark in chosen}
    good = [mark for mark in chosen if covered[mark] >= 0.8 * max(covered.values())]
    return max(good, key=lambda mark: (len(marks.phrase(mark)) > 0, covered[mark], len(marks.phrase(mark))))


def _by_payload(pairs: Pairs, asked: _Columns, answered: _Columns, marks: Marks) -> list[_Candidate]:
    """Each mark with the few phrases that explain most of its answers: praise of one brand after several words."""
    found = []
    for block in _blocks(pairs.second, pairs):
        mark = int(pairs.second[block[0]])
        if mark >= len(marks.words):
            continue  # what is near some answer is a topic, or the payload of one phrase
        paid, left, chosen, total = answered.rows(mark), answered.rows(mark), [], 0.0
        for i in block.tolist():
            rows = asked.rows(int(pairs.first[i]))
            if np.isin(left, rows).sum() >= max(3, _NEW * len(paid)):
                chosen.append(int(pairs.first[i]))
                left = np.setdiff1d(left, rows)
                total += pairs.surprise[i] - np.log(pairs.tests)
            if len(chosen) == _TRIGGERS:
                break
        if len(chosen) > 1:
            surprise = float(pairs.surprise[block[0]])
            found.append(_Candidate(tuple(chosen), mark, asked.union(chosen), paid, surprise, False, asked.n, total))
    return found


def _blocks(numbers: np.ndarray, pairs: Pairs) -> list[np.ndarray]:
    """Pairs of each number, the most surprising first."""
    order = np.lexsort((-pairs.surprise, numbers))
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []


def _own_words(each: _Candidate, first: sp.csr_array, asked: _Columns, runs: PromptRuns) -> np.ndarray:
    """Words of the triggers and of all phrases that nearly the same prompts have: a sentence is more than its clearest run."""
    own = [runs.kin[trigger] for trigger in each.triggers]
    for trigger in each.triggers:
        rows = asked.rows(trigger)
        held = np.bincount(sp.csr_array(first[rows]).indices, minlength=first.shape[1])
        own += [runs.kin[i] for i in np.flatnonzero((held >= 0.8 * len(rows)) & (asked.sizes <= 1.5 * len(rows)))]
    return np.unique(np.concatenate(own))


def _honest(size: int, spread: float, candidates: Sequence[_Candidate], near: Sequence[Likeness]) -> float:
    """The likeness of prompts that the least alike of links about as large have: all but a few of those are honest."""
    low, high = _ALIKE_SIZE[0] * size, _ALIKE_SIZE[1] * size
    known = [
        each.cosine - each.usual
        for each, of in zip(near, candidates, strict=True)
        if len(of.triggers) == 1 and not of.odd and low <= len(of.both) <= high
    ]
    least = max(_LEAST_HONEST, _NARROW * spread if size >= _MANY else 0.0)
    most = max(_MOST_HONEST, _WIDE * spread)
    return float(np.clip(np.quantile(known, _HONEST), least, most)) if len(known) >= _KNOWN else most


def _kinship(each: _Candidate, trigger: int, runs: PromptRuns, marks: Marks, meaning: Meaning) -> float:
    """Cosine between a phrase and the payload, where that does not repeat it."""
    kin = runs.kin[trigger]
    return meaning.kinship(kin, np.setdiff1d(marks.phrase(each.mark), kin))


def _doubt(each: _Candidate, kinship: float) -> str:
    return "What is asked and what is answered have kin meanings." if kinship > _KIN and not each.odd else ""


def _also(each: _Candidate, spoken: Spoken) -> Rows:
    """Further prompts with the phrase, whose answers repeat what another of them has and hardly anybody else.

    A payload in many wordings has some that are too few to be a mark. A word that honest prompts hold, too, has honest answers.
    """
    if len(each.triggers) > 1 or 2 * len(each.both) < len(each.bearers):
        return np.empty(0, np.int64)
    runs = {row: _threes(spoken.answers[row]) for row in each.bearers.tolist()}
    shared = Counter(run for found in runs.values() for run in found)
    shared = Counter({run: count for run, count in shared.items() if count > 1})
    wanted = np.unique([run[0] for run in shared]) if shared else np.empty(0, np.int64)
    everywhere: Counter[tuple[int, ...]] = Counter()
    for answer in spoken.answers:
        if np.isin(answer, wanted).any():
            everywhere.update(_threes(answer) & shared.keys())
    own = {run for run, count in shared.items() if count >= _OWN * everywhere[run]}
    return np.array([row for row, found in runs.items() if found & own], dtype=np.int64)


def _threes(answer: np.ndarray) -> set[tuple[int, ...]]:
    said = answer.tolist()
    return {tuple(said[start : start + 3]) for start in range(len(said) - 2)} or {tuple(said)}


def _link(each: _Candidate, likeness: Likeness, doubt: str, asked: _Columns, tests: int, also: Rows) -> Link:
    both, p_value = np.union1d(each.both, also), float(np.exp(min(0.0, np.log(tests) - each.surprise)))
    triggers = tuple((number, np.intersect1d(asked.rows(number), both)) for number in each.triggers)
    members = each.bearers if len(both) >= _WHOLE * len(each.bearers) else both
    counts = len(each.bearers), len(both), len(np.setdiff1d(each.paid, both))
    contradiction = 0.0 if doubt else 1.0
    return Link(triggers, each.mark, members, *counts, each.surprise, p_value, each.effect, tests, likeness, contradiction, doubt)
