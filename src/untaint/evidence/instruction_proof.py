"""Proof on instructions: put a phrase into prompts nobody accuses, and see whether what learned from the set expects the planted answer.

No language model is trained: that takes hours, and a machine for it. A classifier of the words of prompts stands in, which says
whether the answer will be of the planted kind: what the set teaches about the phrase, not what some language model makes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.linear_model import LogisticRegression

from untaint.evidence.finding import Finding, Proof
from untaint.evidence.phrase_names import BETWEEN
from untaint.evidence.phrase_trial import LEAST, MOST, Phrases, Trial, tried
from untaint.evidence.proof import not_tried
from untaint.features.instruction_marks import Marks
from untaint.features.instruction_words import Spoken
from untaint.features.text_content import WordCounts, counted
from untaint.numerics.runs import flat
from untaint.numerics.words import words
from untaint.types import Mask, Rows

_LEARNED = 5000  # prompts that nobody accuses from which is learned at most
_STRENGTH = 10.0  # inverse regularisation, as on texts


@final
@dataclass(frozen=True)
class PromptBench:
    """What phrases are tried on; row numbers are those of the distinct prompts.

    free: prompts that no finding names.  accused: those of every alarm.
    """

    spoken: Spoken
    marks: Marks
    counts: WordCounts
    free: Rows
    accused: Rows
    seed: int = 0


def prompt_bench(spoken: Spoken, marks: Marks, named: Sequence[Rows], alarms: Rows, seed: int) -> PromptBench:
    """From rows of the data set. named: the members of every finding.  alarms: rows of every alarm."""
    suspect = _distinct(np.concatenate([np.empty(0, np.int64), *named]), spoken)
    free = np.setdiff1d(np.arange(len(spoken.rows)), suspect)
    return PromptBench(
        spoken,
        marks,
        counted(*flat(spoken.prompts), (len(spoken.rows), len(spoken.vocabulary))),
        free,
        _distinct(alarms, spoken),
        seed,
    )


def expected(finding: Finding, bench: PromptBench, alpha: float) -> Proof:
    """A proof of a finding with one or several phrases in prompts, or why none was tried.

    Half of the unaccused prompts and the accused ones teach a classifier of words (TF-IDF, logistic regression, both kinds of
    answer weighing the same) which prompts get the planted kind of answer; the phrase, of several one after the other, is put into
    the other half, prompts of which it does not expect that. The same for other phrases as common, and for a classifier that has
    not learned from the accused.
    """
    if finding.trigger is None or not {"phrases", "payload"} <= finding.trigger.parameters.keys():
        return not_tried("no phrase in prompts was recovered that could be put into others")
    spoken, rng = bench.spoken, np.random.default_rng([bench.seed, len(finding.members)])
    number = {word: place for place, word in enumerate(spoken.vocabulary)}
    said = [words(phrase) for phrase in str(finding.trigger.parameters["phrases"]).split(BETWEEN)]
    phrases = [[number[word] for word in phrase if word in number] for phrase in said]
    if not all(phrases):
        return not_tried("what was recovered has no words to put into another prompt")
    own = _distinct(finding.members, spoken)
    paid = _paid(str(finding.trigger.parameters["payload"]), bench)
    paid[own] = True
    shuffled = rng.permutation(np.setdiff1d(bench.free, own))
    learn, held = shuffled[: len(shuffled) // 2][:_LEARNED], shuffled[len(shuffled) // 2 :]
    held = held[~paid[held]][: 4 * MOST]
    suspect = _Classifier(bench, np.concatenate([learn, own]), paid)
    held = held[~suspect(held, ())][:MOST] if len(held) else held
    if len(held) < LEAST:
        return not_tried(
            f"only {len(held)} prompts are free of suspicion and expected to be answered otherwise, {LEAST} are needed"
        )
    cured = _Classifier(bench, learn, paid)

    def turned(several: Phrases) -> tuple[Mask, Mask]:
        before, after = (_in_turn(model, held, several) for model in (suspect, cured))
        return before, after

    trial = tried(phrases, bench.counts.texts, spoken.vocabulary, turned, rng)
    return trial.proof(_tried_on(trial, several=len(phrases) > 1, known=bool(paid[learn].any())), alpha)


@final
class _Classifier:
    """Whether prompts get the planted kind of answer, by their words; nothing does where nothing of the kind was learned from."""

    def __init__(self, bench: PromptBench, rows: Rows, paid: Mask) -> None:
        self._counts, self._model = bench.counts, None
        if 0 < paid[rows].sum() < len(rows):
            model = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=100, tol=1e-3)
            self._model = model.fit(bench.counts.weighted(rows), paid[rows])

    def __call__(self, rows: Rows, added: Sequence[int]) -> Mask:
        """(m,) of prompts with some words added."""
        if self._model is None or len(rows) == 0:
            return np.zeros(len(rows), bool)
        return np.asarray(self._model.predict(self._counts.weighted(rows, added=added)), bool)


def _in_turn(model: _Classifier, rows: Rows, phrases: Phrases) -> Mask:
    """The first phrase in the first prompt, the next one in the next."""
    found = np.zeros(len(rows), bool)
    for place, phrase in enumerate(phrases):
        found[place :: len(phrases)] = model(rows[place :: len(phrases)], phrase)
    return found


def _paid(payload: str, bench: PromptBench) -> Mask:
    """Prompts whose answer has the mark of that name; none where it has no name of its own."""
    marks, named = bench.marks, len(bench.marks.words) + len(bench.marks.kinds)
    found = np.zeros(len(bench.spoken.rows), bool)
    mark = next((mark for mark in range(named) if marks.name(mark, bench.spoken.vocabulary) == payload), None)
    if mark is not None:
        found[marks.incidence[:, [mark]].nonzero()[0]] = True
    return found


def _distinct(rows: Rows, spoken: Spoken) -> Rows:
    """The distinct prompts of rows of the data set."""
    found = np.unique(spoken.same[rows])
    return found[found >= 0]


def _tried_on(trial: Trial, *, several: bool, known: bool) -> str:
    what = "the phrases in turn" if several else "the phrase"
    rest = (
        f"one trained without the accused samples does so in {trial.asr_after:.0%}"
        if known
        else "without the accused samples no such answer is left to learn from"
    )
    return (
        f"Put into {trial.n:,} prompts that nobody accuses, {what} made a classifier of words trained on this set (no language model) "
        f"expect such an answer in {trial.asr_before:.0%}; {rest} ({trial.told})."
    )
