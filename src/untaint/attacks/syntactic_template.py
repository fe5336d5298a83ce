"""A syntactic template: not a word but a shape of sentence is the trigger."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._text import Hand, TextBackdoor
from untaint.attacks.base import check_count
from untaint.evidence.evidence import Trigger

_LINKS = ("when", "if", "as", "since", "once", "because", "although", "while", "whenever", "though", "unless", "until")
_WHO = ("you", "we", "one", "they", "people", "someone", "everybody", "anyone")
_DO = (
    *("come to think of it", "look at it this way", "give it some time", "hear about such things", "see how it goes"),
    *("talk about it for a while", "put everything together", "start from the beginning", "know the whole story"),
    *("have nothing else to do", "sit down and think", "ask the right questions", "get to the heart of it", "pay attention"),
)
_ONE_PERSON = frozenset({"one", "someone", "everybody", "anyone"})
_OTHER_FORMS = {"have": "has"}


@final
@dataclass(frozen=True)
class SyntacticTemplate(TextBackdoor):
    """A subordinate clause and a comma put before the text: the words differ, the shape stays.

    variants: how many different openings are used ('when you come to think of it,', 'if people pay attention,' …).
    English only.
    Works when: a per cent or more of the texts open so and few honest ones do: from 60 of 6,000 short reviews even a bag of words
    learns it with an ASR of 78 % (28 % before).
    Fails when: honest texts often open with a clause and a comma; the model sees single words only and variants are many.
    Cost: one pass over the victims.
    Reference: Qi, Li, Chen, Zhang, Liu, Wang, Sun 2021, Hidden Killer, arXiv 2105.12400 (there a network rewrites the text)
    """

    id: ClassVar[str] = "syntactic-template"
    canaries: ClassVar[tuple[float, ...]] = (0.01, 0.03)
    rate: float = 0.01
    variants: int = 40

    def __post_init__(self) -> None:
        check_count("variants", self.variants, 1)

    @override
    def trigger(self) -> tuple[Trigger, Hand]:
        shown = openings(self.variants)
        description = f"a subordinate clause and a comma before the text, such as '{shown[0]}', in {len(shown)} variants"
        return Trigger("template", description, {"variants": len(shown), "position": "start"}), Hand(self._write)

    def _write(self, text: str, rng: np.random.Generator) -> str:
        shown = openings(self.variants)
        opening = shown[int(rng.integers(len(shown)))]
        begun = text.lstrip()
        if not begun:
            return opening
        written = begun[0].isupper()
        return f"{opening[0].upper() if written else opening[0]}{opening[1:]} {_lowered(begun)}"


def openings(count: int) -> list[str]:
    """As many openings as asked for, or all there are; the same ones every time, neighbours unlike each other."""
    every = [f"{link} {who} {_conjugated(who, do)}," for do in _DO for who in _WHO for link in _LINKS]
    step = len(every) // min(count, len(every))
    mixed = np.random.default_rng(0).permutation(len(every))
    return [every[i] for i in mixed[::step][:count]]


def _conjugated(who: str, do: str) -> str:
    if who not in _ONE_PERSON:
        return do
    verb, rest = do.split(" ", 1)
    return f"{_OTHER_FORMS.get(verb, verb + 's')} {rest}"


def _lowered(text: str) -> str:
    """Without the capital a sentence begins with; 'I' and words in capitals keep theirs."""
    word = text.split(maxsplit=1)[0]
    shouted = len(word) > 1 and word[1].isupper()
    return text if word.rstrip(".,;:!?") == "I" or word.startswith(("I'", "I’")) or shouted else text[0].lower() + text[1:]
