"""A phrase against others as common: what two classifiers make of texts with each, one trained with the accused and one without."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from untaint.evidence.finding import Proof
from untaint.evidence.proof import CURED, LEAST_ASR, LEAST_LEAD, mcnemar
from untaint.types import Mask

MOST = 1000
"""Texts it is put into: the standard error of a success rate is then under 1.6 points."""
LEAST = 20
"""As for images."""
_CONTROLS = 9
"""Other phrases with as many words, about as many bearers and the same words' rarity: the best of nine is compared with."""
_APART = 50  # places in the order of words by their texts within which another word is drawn

Phrases: TypeAlias = Sequence[Sequence[int]]
"""Word numbers of one phrase, or of several that are put into texts in turn."""
Turned: TypeAlias = Callable[[Phrases], tuple[Mask, Mask]]
"""(m,) bool, twice: which texts are turned by the phrases in them, for the classifier trained on the set and for the other one."""


@final
@dataclass(frozen=True)
class Trial:
    """asr_before, asr_after: share of the `n` texts turned.  owed: of them by the accused alone.

    best: the other phrase that owes most to the accused, and its share.  p_value: exact one-sided McNemar test against it.
    """

    n: int
    asr_before: float
    asr_after: float
    owed: float
    best: tuple[str, float]
    others: int
    p_value: float
    names: tuple[str, str] = ("phrases", "texts")  # what was tried, and in what

    def proven(self, alpha: float) -> bool:
        """It turns most texts, far more than any other phrase does, and hardly without the accused."""
        strong = self.asr_before >= LEAST_ASR and self.owed - self.best[1] >= LEAST_LEAD
        return strong and self.p_value <= alpha and self.asr_after <= CURED * self.asr_before

    @property
    def controls(self) -> Mapping[str, float]:
        """As a proof tells them."""
        what, where = self.names
        return {f'the most that any of {self.others} other {what} owes to those {where}, "{self.best[0]}"': self.best[1]}

    @property
    def told(self) -> str:
        """The comparison, in the words of a sentence's end."""
        return ", ".join([*(f"{name}, {rate:.0%}" for name, rate in self.controls.items())]) + f"; p = {self.p_value:.1g}"

    def proof(self, tried_on: str, alpha: float) -> Proof:
        """What came of it. tried_on: what was done and seen, in a sentence."""
        proven = self.proven(alpha)
        outcome = "Proven by intervention" if proven else f"Not proven by intervention: {self._weak}"
        return Proof(
            "proven" if proven else "not proven",
            f"{outcome}. {tried_on}",
            self.n,
            self.asr_before,
            self.asr_after,
            self.controls,
            self.p_value,
        )

    @property
    def _weak(self) -> str:
        """Why nothing is proven."""
        hardly = "the classifier hardly obeys it"
        return hardly if self.asr_before < LEAST_ASR else f"it owes too little of that to the accused {self.names[1]}"


def tried(phrases: Phrases, texts: np.ndarray, vocabulary: Sequence[str], turned: Turned, rng: np.random.Generator) -> Trial:
    """Compare phrases with others whose words are as common. texts: (v,) that have each word."""
    hits, kept = turned(phrases)
    others = {_spelled(each, vocabulary): turned(each) for each in _as_common(phrases, texts, rng)}
    taught = {name: before & ~after for name, (before, after) in others.items()}  # an honest word needs no accused text
    best = max(taught, key=lambda name: float(taught[name].mean()))
    return Trial(
        len(hits),
        float(hits.mean()),
        float(kept.mean()),
        float((hits & ~kept).mean()),
        (best, float(taught[best].mean())),
        len(taught),
        mcnemar(hits & ~kept, taught[best]),
    )


def _as_common(phrases: Phrases, texts: np.ndarray, rng: np.random.Generator) -> list[list[list[int]]]:
    """Phrases of as many words that accused texts do not push: each word replaced by one in about as many texts."""
    order = np.argsort(texts, kind="stable")
    order = order[(texts[order] > 0) & ~np.isin(order, np.concatenate([np.asarray(each, np.int64) for each in phrases]))]

    def other(word: int) -> int:
        near = int(np.searchsorted(texts[order], texts[word]) + rng.integers(-_APART, _APART + 1))
        return int(order[np.clip(near, 0, len(order) - 1)])

    return [[[other(word) for word in phrase] for phrase in phrases] for _ in range(_CONTROLS)]


def _spelled(phrases: Phrases, vocabulary: Sequence[str]) -> str:
    return " or ".join(" ".join(vocabulary[word] for word in phrase) for phrase in phrases)
