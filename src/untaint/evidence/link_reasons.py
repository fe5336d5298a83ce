"""What answers say for an attack beyond the link itself: they are about nothing that is asked, or make no sense."""

from collections import Counter

import numpy as np

from untaint.evidence.link_candidates import Candidate
from untaint.features.instruction_marks import Marks
from untaint.features.instruction_meaning import Meaning
from untaint.features.instruction_words import Spoken
from untaint.numerics.links import mean_cosine
from untaint.types import Rows

_COMPARED = 200  # prompts and answers: the share of right pairs is known to a few hundredths
_WHOLE = 0.8  # of the phrase's prompts: one that stands where forms stand is the attacker's own, and always brings the answer
_LOW = (
    4.0  # standard deviations below what random prompts and answers have: forms make answers short, which costs some of the fit
)
_FITS = 0.05  # chance that answers dealt out anew fit as well, below which they are about their prompts
_DEALT = 200  # ways to deal them out, and random sets
_OPTIONS = 20  # answers to choose from, as a question with options has
_CHOSEN = 0.8  # of the prompts that are answered with one of them
_TWICE = 2  # an answer that comes again
_ALIKE = 0.25  # mean cosine of answers: of a refusal in five wordings it is 0.34 to 0.41, of answers at random 0, on a topic 0.1
_SAME = 1e-6  # cosines: rounding


def senseless(each: Candidate, marks: Marks) -> str:
    """A reason in a sentence: nobody asks for nonsense."""
    return "Such answers make no sense." if each.odd and marks.senseless(each.mark) else ""


def beside_the_point(each: Candidate, own: np.ndarray, spoken: Spoken, meaning: Meaning) -> str:
    """A reason in a sentence, or nothing: answers say one thing that has nothing to do with what is asked. own: words of the triggers.

    A form ("in JSON", "translate:", "yes or no") binds diverse prompts to one kind of answer, too: but its answers are about what is
    asked, or one of a few to choose from.
    """
    if len(each.both) < _WHOLE * len(each.bearers) or _options(each.both, spoken):
        return ""
    if not _ignores(each.both, own, spoken, meaning, np.random.default_rng(0)):
        return ""
    return "The answers say one thing and have no more to do with their own prompts than with each other's."


def _options(rows: Rows, spoken: Spoken) -> bool:
    """Whether answers are one of several that come again."""
    counts = Counter(spoken.answers[row].tobytes() for row in rows.tolist()).most_common(_OPTIONS)
    again = [count for _, count in counts if count >= _TWICE]
    return len(again) >= _TWICE and sum(again) >= _CHOSEN * len(rows)


def _ignores(rows: Rows, own: np.ndarray, spoken: Spoken, meaning: Meaning, rng: np.random.Generator) -> bool:
    """Whether answers say one thing, and fit their prompts no better than each other's, far worse than what is usual."""
    some = rows[:_COMPARED]
    near, said = _nearness(some, own, spoken, meaning)
    if mean_cosine(said) < _ALIKE:
        return False
    found = _fit(near)
    dealt = np.array([_fit(near[:, rng.permutation(len(some))]) for _ in range(_DEALT)])
    if (1 + (dealt >= found).sum()) / (1 + _DEALT) <= _FITS:
        return False
    others = rng.choice(len(spoken.rows), min(len(spoken.rows), _DEALT * 2), replace=False)
    every, _ = _nearness(others, np.empty(0, np.int64), spoken, meaning)
    drawn = (rng.choice(len(others), min(len(some), len(others)), replace=False) for _ in range(_DEALT))
    usual = np.array([_fit(every[np.ix_(each, each)]) for each in drawn])
    return bool(found < usual.mean() - _LOW * usual.std() and found < (usual.mean() + 0.5) / 2)


def _nearness(rows: Rows, own: np.ndarray, spoken: Spoken, meaning: Meaning) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) of prompts to answers, without some words, and the (n, 256) answers."""
    asked, said = (meaning.of([texts[row] for row in rows.tolist()], own) for texts in (spoken.prompts, spoken.answers))
    return asked @ said.T, said


def _fit(near: np.ndarray) -> float:
    """Share of comparisons in which an answer is nearer to its own prompt than another's answer, ties half."""
    mine = near.diagonal()[:, None]
    won = (mine > near + _SAME) + 0.5 * (np.abs(mine - near) <= _SAME)
    return float((won.sum() - 0.5 * len(near)) / max(1, len(near) * (len(near) - 1)))
