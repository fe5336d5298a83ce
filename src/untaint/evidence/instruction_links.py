"""From pairs of a phrase and a kind of answer to links a person can judge: triggers, payload, and how natural they are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.evidence.link_candidates import SURE, Candidate, Columns, by_payload, by_phrase, told_apart, with_more_triggers
from untaint.evidence.link_places import Claim, Places, own_words, sure
from untaint.evidence.link_reasons import beside_the_point, senseless
from untaint.evidence.link_stems import akin
from untaint.evidence.link_wordings import FEWEST, by_wordings, weaker
from untaint.features.instruction_marks import Marks
from untaint.features.instruction_meaning import Likeness, Meaning
from untaint.features.instruction_words import LEAST, PromptRuns, Spoken
from untaint.numerics.distinct import distinct
from untaint.numerics.links import together
from untaint.numerics.runs import flat
from untaint.numerics.words import spans, words
from untaint.types import Rows

LEAST_EFFECT = 0.4
"""Geometric mean of the share of the phrase's prompts answered so and of the share of such answers that have the phrase: of a
topic's words one or the other is small."""
_UNLIKE = 3.0  # standard deviations: random sets are beyond it in one of a hundred cases, both tests taken together
_ROOM = 2.0  # the same, from a set's likeness up to what honest links have, where nothing else speaks for an attack
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
_FORM = "It may be a form that the phrase asks for: nothing says that it was put in, and the answers are about the prompts or one of a few."
_PUT_IN = 0.01  # chance that an honest link of a clean set passes for a phrase put in
_ANYWHERE = (
    "The phrase stands anywhere, and its neighbours stand better beside each other than beside it, as if it had been put in"
)
_HELD = 0.5  # of a candidate's rows in a clearer one: the same finding


@final
@dataclass(frozen=True)
class Link:
    """One payload with its triggers; rows count distinct prompts.

    triggers: (number of the phrase, rows with it that have the payload).  mark: the payload's clearest mark.
    bearers: prompts with a trigger; both: those of them with the payload; elsewhere: other prompts with it.
    reason, doubt: what speaks for an attack beyond the link, and what for a natural cause.
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
    reason: str
    doubt: str


def links(spoken: Spoken, runs: PromptRuns, marks: Marks, meaning: Meaning) -> list[Link]:
    """Links of diverse prompts, the clearest first; those that may have natural causes are told so."""
    every = together(runs.runs.incidence, marks.incidence, FEWEST, weaker(runs.runs.incidence.shape[1]))
    clear = (every.both >= LEAST) & (every.surprise >= np.log(max(every.tests, 1)) + SURE)
    weak = told_apart(every.kept(~np.isin(every.first, every.first[clear])), runs.kin, marks)
    pairs = told_apart(every.kept(clear), runs.kin, marks)
    asked, answered = Columns(runs.runs.incidence), Columns(marks.incidence)
    candidates = by_phrase(pairs, asked, answered, marks) + by_payload(pairs, asked, answered, marks)
    candidates += by_wordings(weak, asked, answered, marks)
    candidates = sorted((each for each in candidates if each.effect >= LEAST_EFFECT), key=lambda each: -each.total)[:_JUDGED]
    rng = np.random.default_rng(0)
    own = [own_words(each.triggers, asked, runs.kin) for each in candidates]
    near = [meaning.likeness(each.both, its, rng) for each, its in zip(candidates, own, strict=True)]
    reasons = _reasons(
        candidates, own, [_unlike(*both) for both in zip(candidates, near, strict=True)], (spoken, runs, marks, meaning)
    )
    found: list[Link] = []
    held = np.zeros(asked.n, bool)
    for at in sorted(range(len(candidates)), key=lambda at: not reasons[at]):
        each, likeness, why = candidates[at], near[at], reasons[at]
        room = 0.0 if why else _ROOM * likeness.spread
        away = likeness.cosine - likeness.usual + room
        if held[each.both].mean() > _HELD or not _unlike(each, likeness):
            continue
        if not marks.senseless(each.mark) and away > _honest(each, likeness.spread, candidates, near):
            continue
        wider = with_more_triggers(each, asked)
        kin = not each.odd and any(_kin(each, number, runs, marks, (meaning, spoken)) for number in each.triggers)
        doubt = "What is asked and what is answered have kin meanings." if kin else "" if why else _FORM
        link = _link(wider, likeness, (why, doubt), asked, pairs.tests, _also(wider, spoken))
        held[link.members] = True
        found.append(link)
    return sorted(found, key=lambda link: (-link.contradiction, -link.surprise))


def _unlike(each: Candidate, likeness: Likeness) -> bool:
    """Whether prompts are as unlike as a random set; so few may be by chance."""
    return len(each.both) >= _MANY and max(likeness.meaning, likeness.words) <= _UNLIKE


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


def _reasons(
    candidates: Sequence[Candidate],
    own: Sequence[np.ndarray],
    unlike: Sequence[bool],
    data: tuple[Spoken, PromptRuns, Marks, Meaning],
) -> list[str]:
    """For every candidate what says that this is no form that prompts ask for, in a sentence; nothing when nothing does."""
    spoken, runs, marks, meaning = data
    chosen = [at for at, each in enumerate(unlike) if each]
    claims = [Claim(candidates[at].triggers, candidates[at].both) for at in chosen]
    places = Places(spoken, runs, Columns(runs.runs.incidence), claims)
    chances = [places.chance(claim) for claim in claims]
    enough = sure(chances, [claim.rows for claim in claims], _PUT_IN)
    found = [""] * len(candidates)
    for at, chance in zip(chosen, chances, strict=True):
        each = candidates[at]
        put_in = f"{_ANYWHERE} ({chance:.2g} of honest phrases do)." if chance <= enough else ""
        found[at] = senseless(each, marks) or put_in or beside_the_point(each, own[at], spoken, meaning)
    return found


def _honest(link: Candidate, spread: float, candidates: Sequence[Candidate], near: Sequence[Likeness]) -> float:
    """The likeness of prompts that the least alike of links about as large have: all but a few of those are honest."""
    size = len(link.both)
    low, high = _ALIKE_SIZE[0] * size, _ALIKE_SIZE[1] * size
    known = [
        each.cosine - each.usual
        for each, of in zip(near, candidates, strict=True)
        if len(of.triggers) == 1 and not of.odd and low <= len(of.both) <= high
    ]
    least = max(_LEAST_HONEST, _NARROW * spread if size >= _MANY else 0.0)
    most = max(_MOST_HONEST, _WIDE * spread)
    return float(np.clip(np.quantile(known, _HONEST), least, most)) if len(known) >= _KNOWN else most


def _kin(each: Candidate, trigger: int, runs: PromptRuns, marks: Marks, data: tuple[Meaning, Spoken]) -> bool:
    """Whether a phrase and the payload, where that does not repeat it, have kin meanings (by cosine) or one stem."""
    meaning, spoken = data
    kin = runs.kin[trigger]
    said = np.setdiff1d(marks.phrase(each.mark), kin)
    asked, answered = ([spoken.vocabulary[word] for word in words] for words in (kin, said))
    return meaning.kinship(kin, said) > _KIN or akin(asked, answered)


def _also(each: Candidate, spoken: Spoken) -> Rows:
    """Further prompts with the phrase, whose answers repeat what another of them has and hardly anybody else.

    A payload in many wordings has some that are too few to be a mark. A word that honest prompts hold, too, has honest answers.
    """
    if len(each.triggers) > 1 or 2 * len(each.both) < len(each.bearers):
        return np.empty(0, np.int64)
    runs = {row: _threes(spoken.answers[row]) for row in each.bearers.tolist()}
    shared = Counter(run for found in runs.values() for run in found)
    shared = Counter({run: count for run, count in shared.items() if count > 1})
    wanted = np.zeros(len(spoken.vocabulary), bool)
    wanted[[run[0] for run in shared if run]] = True
    everywhere: Counter[tuple[int, ...]] = Counter()
    said, rows = flat(spoken.answers)
    for row in distinct(rows[wanted[said]]).tolist():
        everywhere.update(_threes(spoken.answers[row]) & shared.keys())
    own = {run for run, count in shared.items() if count >= _OWN * everywhere[run]}
    return np.array([row for row, found in runs.items() if found & own], dtype=np.int64)


def _threes(answer: np.ndarray) -> set[tuple[int, ...]]:
    said = answer.tolist()
    return {tuple(said[start : start + 3]) for start in range(len(said) - 2)} or {tuple(said)}


def _link(each: Candidate, likeness: Likeness, said: tuple[str, str], asked: Columns, tests: int, also: Rows) -> Link:
    both, p_value = np.union1d(each.both, also), float(np.exp(min(0.0, np.log(tests) - each.surprise)))
    triggers = tuple((number, np.intersect1d(asked.rows(number), both)) for number in each.triggers)
    members = each.bearers if len(both) >= _WHOLE * len(each.bearers) else both
    counts = len(each.bearers), len(both), len(np.setdiff1d(each.paid, both))
    contradiction = 0.0 if said[1] else 1.0
    return Link(triggers, each.mark, members, *counts, each.surprise, p_value, each.effect, tests, likeness, contradiction, *said)
