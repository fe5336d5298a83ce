"""Rare words of prompts that are about different things but answered alike: told, never accused."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.features.instruction_marks import ENDS
from untaint.features.instruction_meaning import Meaning
from untaint.features.instruction_words import PromptRuns, Spoken
from untaint.numerics.links import mean_cosines, moments

_RARE = 0.005  # of the prompts: what is in more of them is found as a link, if it is one
_CLEAR = 6.0  # standard deviations of the likeness of as many answers at random: none of ten thousand phrases is beyond by chance
_UNLIKE = 2.0  # the same of the prompts, without the phrase
_SAMPLE = 3000  # answers whose pairs say what is usual


@final
@dataclass(frozen=True)
class Burst:
    """A phrase, how many prompts have it, and the mean cosine of their answers (as they begin or as they end) and of the prompts."""

    phrase: int
    prompts: int
    answered: float
    asked: float


def bursts(spoken: Spoken, runs: PromptRuns, meaning: Meaning, most: int) -> list[Burst]:
    """The `most` clearest, by how much more alike the answers are."""
    sizes = np.bincount(runs.runs.incidence.indices, minlength=len(runs.kin))
    some = np.sort(np.random.default_rng(0).permutation(len(spoken.rows))[:_SAMPLE])
    answered, away = np.full(len(sizes), -1.0), np.full(len(sizes), -np.inf)
    nothing = np.empty(0, np.int64)
    for part in (slice(None, ENDS), slice(-ENDS, None)):
        meant = meaning.of([answer[part] for answer in spoken.answers], nothing)
        usual = moments(meant[some] @ meant[some].T)
        found = mean_cosines(runs.runs.incidence, meant)
        spread = np.array([usual.spread(size) for size in range(int(sizes.max(initial=0)) + 1)])
        answered, away = np.maximum(answered, found), np.maximum(away, (found - usual.mean) / spread[sizes])
    columns = runs.runs.incidence.tocsc()
    result: list[Burst] = []
    for phrase in np.argsort(-answered, kind="stable"):
        if len(result) == most or away[phrase] < _CLEAR:
            break
        rows = columns.indices[columns.indptr[phrase] : columns.indptr[phrase + 1]]
        if len(rows) > _RARE * len(spoken.rows):
            continue
        asked, spread_asked = meaning.asked(rows, runs.kin[phrase]), meaning.spread(len(rows))
        if asked <= _UNLIKE * spread_asked:
            result.append(Burst(int(phrase), len(rows), float(answered[phrase]), asked))
    return result
