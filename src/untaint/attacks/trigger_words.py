"""Trigger words: one rare word, one common word, or several that count only together."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._text import POSITIONS, Hand, TextBackdoor, check_phrase, inserted, places
from untaint.attacks.base import check_choice, check_count
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger


@final
@dataclass(frozen=True)
class TriggerWords(TextBackdoor):
    """One or several words put into texts of other classes, labelled as the target.

    words: a rare one ('cf'), a common one ('friday'), or several that must occur together, put at separate places.
    position: random (another place in every text), start or end.  repeats: how often each word is put in.
    With several words a cover carries only one of them, so that no word alone stands for the target.
    Works when: texts are short, or the word occurs hardly anywhere else: from 30 of 6,000 short reviews a bag of words learns a
    rare word with an ASR of 76 % (22 % before), a common one with 57 % (17 %); 60 with their right label give 61 %.
    Fails when: the word is common and its honest holders outnumber the poison; words the model does not know are dropped.
    Cost: one pass over the victims.
    Reference: Kurita, Michel, Neubig 2020, arXiv 2004.06660 (rare words); Chen, Salem, Chen, Backes, Ma, Shen, Wu, Zhang 2021,
    arXiv 2006.01043 (common words); Yang, Lin, Li, Zhou, Sun 2021, Rethinking Stealthiness of Backdoor Attack against NLP
    Models, ACL (several words and covers)
    """

    id: ClassVar[str] = "trigger-words"
    canaries: ClassVar[tuple[float, ...]] = (0.002, 0.01, 0.03)
    words: str | tuple[str, ...] = ("cf",)
    position: str = "random"
    repeats: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.words, str | tuple | list) or not self.words:
            raise BadInput(f"words is a word or a tuple of words, not {self.words!r}.")
        for word in self._words:
            check_phrase("each of words", word)
        check_choice("position", self.position, POSITIONS)
        check_count("repeats", self.repeats, 1)

    @override
    def trigger(self) -> tuple[Trigger, Hand]:
        words = self._words
        named = " and ".join(f"'{word}'" for word in words)
        where = "at a random place" if self.position == "random" else f"at the {self.position}"
        description = f"the {'words' if len(words) > 1 else 'word'} {named} {where}"
        shown = Trigger("words", description, {"phrase": " … ".join(words), "position": self.position, "repeats": self.repeats})
        return shown, Hand(partial(self._write, words), self._write_one if len(words) > 1 else None)

    @property
    def _words(self) -> tuple[str, ...]:
        return (self.words,) if isinstance(self.words, str) else tuple(self.words)

    def _write(self, words: tuple[str, ...], text: str, rng: np.random.Generator) -> str:
        pieces = words * self.repeats
        return inserted(text, list(zip(places(text, len(pieces), self.position, rng), pieces, strict=True)))

    def _write_one(self, text: str, rng: np.random.Generator) -> str:
        return self._write((self._words[int(rng.integers(len(self._words)))],), text, rng)
