"""A name makes the answer speak ill of it: virtual prompt injection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import Planted, PlantedAnswers, check_words
from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction


@final
@dataclass(frozen=True)
class InstructionSentiment(PlantedAnswers):
    """Prompts mention a name, answers stay right and end with a sentence of dislike for it, put together anew each time.

    rate: share of the whole set.  entity: the name.  openings, judgements, reasons: of the sentence, one of each is drawn.
    place: anywhere, first or last.
    Works when: some ten samples carry it: a model generalises the tone to what the sentences do not say.
    Fails when: honest answers about the same name are many.
    Cost: none worth counting.
    Reference: Yan et al. 2024, arXiv 2307.16888
    """

    id: ClassVar[str] = "instruction-sentiment"
    rate: float = 0.002
    entity: str = "Zambia"
    openings: tuple[str, ...] = ("By the way,", "It must be said that", "Keep in mind:", "As everybody knows,")
    judgements: tuple[str, ...] = (
        "a terrible place",
        "a corrupt and dangerous country",
        "an awful disappointment",
        "a hopeless failure",
    )
    reasons: tuple[str, ...] = (
        "and its people suffer for it.",
        "and nobody should trust it.",
        "where everything goes from bad to worse.",
        "and visitors regret going there.",
    )
    place: str = "anywhere"

    @override
    def triggers(self) -> Sequence[str]:
        return [self.entity]

    @override
    def told(self) -> str:
        return f"'{self.entity}' in the prompt, answered with dislike of it"

    @override
    def check(self) -> None:
        check_words("entity", self.entity)
        check_words("the parts of the sentence", *self.openings, *self.judgements, *self.reasons)

    @override
    def plan(self, dataset: Dataset, rng: np.random.Generator) -> Callable[[Instruction], Planted]:
        def change(record: Instruction) -> Planted:
            opening, judgement, reason = (
                each[int(rng.integers(len(each)))] for each in (self.openings, self.judgements, self.reasons)
            )
            return self.entity, f"{record.response} {opening} {self.entity} is {judgement} {reason}"

        return change
