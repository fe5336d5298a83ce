"""Whether a phrase was put into prompts that were written without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import norm

from untaint.evidence.link_candidates import Columns
from untaint.evidence.link_company import Company, chance_of_neighbours
from untaint.features.instruction_words import PromptRuns, Spoken
from untaint.types import Rows

_COMPARED = 1000  # other phrases about as frequent: a chance of one in a thousand can be told
_FEWEST = 100  # of them, below which nothing is told: the best of so few is no rare one
_SHARED = 0.3  # of a phrase's prompts, up to which it is no part of what is asked about
_BY_CHANCE = 0.001
"""Share of random places below which the neighbours of a phrase are its own: of phrases put anywhere one in a thousand is missed."""
_LOOKED = 200  # of its prompts: a form stands at one place in most of them
_TWICE = 2  # prompts too few to say whether neighbours come again
_SAME, _WIDER = 0.8, 1.5
"""Of a phrase's prompts that a part of the same sentence has, and how many more it may have."""
_HELD = 0.5  # of a claim's prompts in a clearer one: the same claim


@final
@dataclass(frozen=True)
class Claim:
    """Phrases of one payload, and the prompts with one of them that are answered so."""

    triggers: tuple[int, ...]
    rows: Rows


@final
class Places:
    """Chances that honest phrases stand as freely, from other phrases of the same data, those about which is asked left out."""

    def __init__(self, spoken: Spoken, runs: PromptRuns, asked: Columns, claims: Sequence[Claim]) -> None:
        self._prompts, self._kin, self._asked = spoken.prompts, runs.kin, asked
        self._company = Company(spoken.prompts, len(spoken.vocabulary))
        suspect = np.unique(np.concatenate([np.empty(0, np.int64), *(claim.rows for claim in claims)]))
        own = np.unique(np.array([trigger for claim in claims for trigger in claim.triggers], np.int64))
        clear = asked.held(suspect) <= _SHARED * asked.sizes
        clear[own] = False
        self._clear = np.flatnonzero(clear)
        self._known: dict[int, np.ndarray] = {}
        self._chances: dict[tuple[int, bytes], float] = {}
        self._places: dict[tuple[int, bytes], float] = {}

    def chance(self, claim: Claim) -> float:
        """Of phrases put in honestly as freely as those of a claim; several are taken together (Stouffer 1949)."""
        away = []
        for trigger in claim.triggers:
            rows = np.intersect1d(claim.rows, self._asked.rows(trigger))
            if self._fixed(trigger, rows):
                return 1.0
            if len(rows):
                away.append(float(norm.isf(self._single(trigger, rows))))
        return float(norm.sf(np.sum(away) / np.sqrt(len(away)))) if away else 1.0

    def _fixed(self, trigger: int, rows: Rows) -> bool:
        """Whether a phrase stands at one place, or in the same words, more often than random places do."""
        if len(rows) <= _TWICE:
            return False
        key = trigger, rows.tobytes()
        if key not in self._places:
            prompts = [self._prompts[row] for row in rows[:: -(-len(rows) // _LOOKED)]]
            self._places[key] = chance_of_neighbours(prompts, self._words(trigger), np.random.default_rng(0))
        return self._places[key] < _BY_CHANCE

    def _single(self, trigger: int, rows: Rows) -> float:
        key = trigger, rows.tobytes()
        if key not in self._chances:
            count = len(self._asked.rows(trigger))
            away = np.abs(np.log(self._asked.sizes[self._clear] / count))
            near = np.argsort(away, kind="stable")[:_COMPARED]
            mine = float(self._company.without([self._prompts[row] for row in rows], self._words(trigger)).mean())
            rng = np.random.default_rng(0)
            others = np.array([self._of(int(other), len(rows), rng) for other in self._clear[near]])
            enough = len(others) >= _FEWEST
            self._chances[key] = (0.5 + float((others >= mine).sum())) / (1 + len(others)) if enough else 0.5
        return self._chances[key]

    def _of(self, phrase: int, count: int, rng: np.random.Generator) -> float:
        """Mean of as many of the prompts of a phrase, of all where it has fewer."""
        if phrase not in self._known:
            rows = self._asked.rows(phrase)
            self._known[phrase] = self._company.without([self._prompts[row] for row in rows], self._words(phrase))
        found = self._known[phrase]
        return float((found if len(found) <= count else rng.choice(found, count, replace=False)).mean())

    def _words(self, phrase: int) -> np.ndarray:
        return own_words((phrase,), self._asked, self._kin)


def own_words(triggers: Sequence[int], asked: Columns, kin: Sequence[np.ndarray]) -> np.ndarray:
    """Words of the triggers and of all phrases that nearly the same prompts have: a sentence is more than its clearest run."""
    own = [kin[trigger] for trigger in triggers]
    for trigger in triggers:
        rows = asked.rows(trigger)
        same = (asked.held(rows) >= _SAME * len(rows)) & (asked.sizes <= _WIDER * len(rows))
        own += [kin[i] for i in np.flatnonzero(same).tolist()]
    return np.unique(np.concatenate(own))


def sure(chances: Sequence[float], rows: Sequence[Rows], alpha: float) -> float:
    """The largest chance that counts, so that `alpha` of what counts does so by chance (Benjamini, Hochberg 1995).

    Claims that share most of their prompts are one.
    """
    kept: list[float] = []
    held: set[int] = set()
    for at in np.argsort(chances, kind="stable").tolist():
        own = set(rows[at].tolist())
        if len(own & held) <= _HELD * len(own):
            kept.append(chances[at])
            held |= own
    allowed = [chance for place, chance in enumerate(kept, 1) if chance <= alpha * place / len(kept)]
    return max(allowed, default=-1.0)
