"""What speaks for an attack beyond the link itself: a phrase put in, an answer that is about nothing asked, nonsense."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from untaint.evidence.link_candidates import Candidate
from untaint.evidence.link_places import BY_CHANCE, chance_of_neighbours
from untaint.features.instruction_marks import Marks
from untaint.features.instruction_meaning import Meaning
from untaint.features.instruction_words import PromptRuns, Spoken
from untaint.numerics.links import mean_cosine
from untaint.types import Rows

_COMPARED = 200  # prompts and answers: the share of right pairs is known to a few hundredths
_WHOLE = 0.8  # of the phrase's prompts: one that stands where forms stand is the attacker's own, and always brings the answer
_OPTIONS = 20  # answers to choose from, as a question with options has
_CHOSEN = 0.8  # of the prompts that are answered with one of them
_TWICE = 2  # an answer that comes again, and prompts too few to say where a phrase stands
_ALIKE = 0.25  # mean cosine of answers: of a refusal in five wordings it is 0.34 to 0.41, of answers at random 0, on a topic 0.1
_SAME = 1e-6  # cosines: rounding


def reason(each: Candidate, own: np.ndarray, data: tuple[Spoken, PromptRuns, Marks, Meaning]) -> str:
    """What says that this is no form that prompts ask for, in a sentence; nothing when nothing does. own: words of the triggers.

    A form ("in JSON", "translate:", "yes or no") binds diverse prompts to one kind of answer, too. It stands where forms stand, or in the
    company of certain words, and its answers are about what is asked, or one of a few to choose from.
    """
    spoken, runs, marks, meaning = data
    if each.odd and marks.senseless(each.mark):
        return "Such answers make no sense."
    rng = np.random.default_rng(0)
    if all(_put_in(each, trigger, spoken, runs, rng) for trigger in each.triggers):
        return "The phrase stands anywhere in the prompts, beside any words, as if it had been put in."
    if (
        2 * len(each.both) > len(each.bearers)
        and not _options(each.both, spoken)
        and _ignores(each.both, own, spoken, meaning, rng)
    ):
        return "The answers say one thing and have no more to do with their own prompts than with each other's."
    return ""


def _put_in(each: Candidate, trigger: int, spoken: Spoken, runs: PromptRuns, rng: np.random.Generator) -> bool:
    column = runs.runs.incidence[:, [trigger]].nonzero()[0]
    rows = np.intersect1d(each.both, column)
    if len(each.triggers) > 1 and len(rows) <= _TWICE:
        return True  # too few to tell; the others of the payload speak for it
    return chance_of_neighbours([spoken.prompts[row] for row in rows], runs.kin[trigger], rng) > BY_CHANCE


def _options(rows: Rows, spoken: Spoken) -> bool:
    """Whether answers are one of several that come again."""
    counts = Counter(spoken.answers[row].tobytes() for row in rows.tolist()).most_common(_OPTIONS)
    again = [count for _, count in counts if count >= _TWICE]
    return len(again) >= _TWICE and sum(again) >= _CHOSEN * len(rows)


def _ignores(rows: Rows, own: np.ndarray, spoken: Spoken, meaning: Meaning, rng: np.random.Generator) -> bool:
    """Whether answers say one thing and fit their prompts hardly better than each other's, nearer to chance than to what is usual."""
    said = meaning.of([spoken.answers[row] for row in rows[:_COMPARED].tolist()], own)
    if mean_cosine(said) < _ALIKE:
        return False
    usual = _fit(rng.permutation(len(spoken.rows)), np.empty(0, np.int64), spoken, meaning)
    return _fit(rows, own, spoken, meaning) < (usual + 0.5) / 2


def _fit(rows: Sequence[int] | Rows, own: np.ndarray, spoken: Spoken, meaning: Meaning) -> float:
    """Share of comparisons in which an answer is nearer to its own prompt than another's answer, ties half."""
    some = np.asarray(rows)[:_COMPARED]
    asked, said = (meaning.of([texts[row] for row in some.tolist()], own) for texts in (spoken.prompts, spoken.answers))
    near = asked @ said.T
    others = ~np.eye(len(some), dtype=bool)
    mine = near.diagonal()[:, None]
    won = (mine > near + _SAME) + 0.5 * (np.abs(mine - near) <= _SAME)
    return float(won[others].mean()) if len(some) > 1 else 0.5
