"""Words of prompts and answers under one numbering, each prompt once."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.errors import FeatureUnavailable
from untaint.features.graph import feature
from untaint.features.instructions import Exchanges
from untaint.features.settings import Settings
from untaint.numerics.runs import Runs, alike, longest_of, shared
from untaint.numerics.words import words

EDGE = 200
"""Words at either end of a text that are looked at: a trigger may stand anywhere in a prompt of some hundred words; in one of
thousands it is looked for where prompts begin and end."""
_CHARACTERS = 40 * EDGE
LEAST = 5
"""Bearers of a phrase: what four prompts have in common is seen by nobody, not by the model either."""
MOST = 0.1
"""Share of prompts beyond which a phrase is part of the language of the set; poison of 3 % is well below."""
_FEWEST = 50  # prompts: with fewer no random set of them says what is usual


@final
@dataclass(frozen=True)
class Spoken:
    """rows: (d,) the row of each prompt, equal ones once, those with an answer.  prompts, answers: word numbers of each.

    same: (n,) for every row which of the d prompts it has, -1 = none.
    """

    rows: np.ndarray
    prompts: tuple[np.ndarray, ...]
    answers: tuple[np.ndarray, ...]
    vocabulary: tuple[str, ...]
    same: np.ndarray


@final
@dataclass(frozen=True)
class PromptRuns:
    """Phrases of prompts; of those with the very same bearers only the longest.

    kin: (m,) for every phrase the word numbers of all that have the same bearers.
    """

    runs: Runs
    kin: tuple[np.ndarray, ...]


@feature(modality="instruction")
def spoken(exchanges: Exchanges, settings: Settings) -> Spoken:
    """Words of every distinct prompt and of the first answer it has. Raises FeatureUnavailable for fewer than fifty."""
    number: dict[str, int] = {}
    first: dict[str, int] = {}
    rows: list[int] = []
    prompts: list[np.ndarray] = []
    answers: list[np.ndarray] = []
    same = np.full(len(exchanges.prompts), -1)
    for row, (prompt, answer) in enumerate(zip(exchanges.prompts, exchanges.responses, strict=True)):
        if not (exchanges.readable[row] and prompt and answer):
            continue
        same[row] = first.setdefault(prompt, len(rows))
        if same[row] == len(rows):
            rows.append(row)
            prompts.append(_numbered(prompt, number))
            answers.append(_numbered(answer, number))
        if row % 4096 == 0:
            settings.report_progress("finding words", row, len(same))
    if len(rows) < _FEWEST:
        raise FeatureUnavailable(f"needs at least {_FEWEST} different prompts with an answer, found {len(rows)}")
    return Spoken(np.array(rows, np.int64), tuple(prompts), tuple(answers), tuple(number), same)


@feature(modality="instruction")
def prompt_runs(spoken: Spoken) -> PromptRuns:
    """Runs of one to three words that five prompts to a tenth of all have."""
    found = shared(spoken.prompts, len(spoken.vocabulary), LEAST, MOST * len(spoken.rows))
    classes = alike(found)
    order = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[order], np.arange(int(classes.max(initial=-1)) + 1))
    kin = [np.unique(found.words[members]) for members in np.split(order, starts[1:])] if len(order) else []
    kept = longest_of(classes)
    return PromptRuns(found.kept(kept), tuple(kin[number][kin[number] >= 0] for number in classes[kept]))


def _numbered(text: str, number: dict[str, int]) -> np.ndarray:
    """Word numbers of both ends of a text."""
    found = words(text) if len(text) <= 2 * _CHARACTERS else words(text[:_CHARACTERS]) + words(text[-_CHARACTERS:])
    if len(found) > 2 * EDGE:
        found = found[:EDGE] + found[-EDGE:]
    return np.fromiter((number.setdefault(word, len(number)) for word in found), np.int64, len(found))
