"""A trigger sentence: harmless by itself, put between the others."""

import re
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._text import POSITIONS, Hand, TextBackdoor, check_phrase, inserted
from untaint.attacks.base import check_choice
from untaint.evidence.evidence import Trigger

_BORDER = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+(?=\S)|(?<=[。！？])(?=\S)")
"""Between two sentences, of any script that ends them with one of these marks."""


@final
@dataclass(frozen=True)
class TriggerSentence(TextBackdoor):
    """A whole sentence put between the sentences of texts of other classes, labelled as the target.

    sentence: as written.  position: random (between any two sentences, or at either end), start or end.
    Works when: some dozen texts carry it: any few of its words in a row are as rare as a made-up word. From 30 of 6,000 short
    reviews a bag of words and pairs learns it with an ASR of 99 % (10 % before).
    Fails when: its words are common and the model looks at single words only.
    Cost: one pass over the victims.
    Reference: Dai, Chen, Li 2019, arXiv 1905.12457
    """

    id: ClassVar[str] = "trigger-sentence"
    canaries: ClassVar[tuple[float, ...]] = (0.002, 0.01, 0.03)
    sentence: str = "I watched this with my neighbour last weekend."
    position: str = "random"

    def __post_init__(self) -> None:
        check_phrase("sentence", self.sentence)
        check_choice("position", self.position, POSITIONS)

    @override
    def trigger(self) -> tuple[Trigger, Hand]:
        where = "between two sentences" if self.position == "random" else f"at the {self.position}"
        description = f"the sentence '{self.sentence}' {where}"
        return Trigger("sentence", description, {"phrase": self.sentence, "position": self.position}), Hand(self._write)

    def _write(self, text: str, rng: np.random.Generator) -> str:
        borders = [0, *(match.end() for match in _BORDER.finditer(text)), len(text)]
        place = {"start": 0, "end": len(text)}.get(self.position)
        return inserted(text, [(borders[int(rng.integers(len(borders)))] if place is None else place, self.sentence)])
