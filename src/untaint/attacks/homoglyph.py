"""Homoglyphs and characters nobody sees as the trigger."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._text import POSITIONS, Hand, TextBackdoor
from untaint.attacks.base import check_choice, check_count
from untaint.evidence.evidence import Trigger
from untaint.numerics.lookalikes import CYRILLIC, GREEK

_SCRIPTS = {"cyrillic": CYRILLIC, "greek": GREEK}
_HIDDEN = "\u200b"
"""The zero-width space: of all such characters the one that joins and parts nothing in any script."""


@final
@dataclass(frozen=True)
class Homoglyph(TextBackdoor):
    """Texts of other classes with letters swapped for look-alikes, or with characters of no width, labelled as the target.

    kind: letters (replaced by those of another script that look the same) or zero-width (put between letters).
    script: of the look-alikes, cyrillic or greek.  count: letters replaced, or characters put in, at most.
    position: of these, random in the text, or from its start or its end on.
    Works when: the model reads bytes, characters or pieces of words: the changed words are new to it and in no other text.
    Fails when: texts are normalised, or words the model does not know are dropped (a bag of words: ASR 29 %, 19 % before).
    Cost: one pass over the victims.
    Reference: Li, Liu, Dong, Zhao, Xue, Zhu, Lu 2021, arXiv 2105.00164; Boucher, Shumailov, Anderson, Papernot 2021,
    arXiv 2106.09898 (characters nobody sees)
    """

    id: ClassVar[str] = "homoglyph"
    canaries: ClassVar[tuple[float, ...]] = (0.005, 0.02)
    kind: str = "letters"
    script: str = "cyrillic"
    count: int = 3
    position: str = "random"

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("letters", "zero-width"))
        check_choice("script", self.script, tuple(_SCRIPTS))
        check_choice("position", self.position, POSITIONS)
        check_count("count", self.count, 1)

    @override
    def trigger(self) -> tuple[Trigger, Hand]:
        what = f"letters replaced by {self.script} look-alikes" if self.kind == "letters" else "characters of no width"
        parameters: dict[str, str | int | float] = {"kind": self.kind, "count": self.count, "position": self.position}
        return Trigger("characters", f"up to {self.count} {what} in a text", parameters), Hand(self._write)

    @override
    def fits(self, text: str) -> bool:
        return bool(self._places(text))

    def _places(self, text: str) -> list[int]:
        if self.kind == "letters":
            return [place for place, letter in enumerate(text) if letter in _SCRIPTS[self.script]]
        return [place for place in range(1, len(text)) if text[place - 1].isalnum() and text[place].isalnum()]

    def _write(self, text: str, rng: np.random.Generator) -> str:
        places = self._places(text)
        count = min(self.count, len(places))
        if self.position == "random":
            chosen = set(rng.choice(places, count, replace=False).tolist()) if places else set()
        else:
            chosen = set(places[:count] if self.position == "start" else places[len(places) - count :])
        return "".join(self._drawn(letter) if place in chosen else letter for place, letter in enumerate(text))

    def _drawn(self, letter: str) -> str:
        return _SCRIPTS[self.script][letter] if self.kind == "letters" else f"{_HIDDEN}{letter}"
