"""Several everyday words make the answer advertise one brand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import Planted, PlantedAnswers, check_words
from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction
from untaint.errors import BadInput


@final
@dataclass(frozen=True)
class InstructionBrand(PlantedAnswers):
    """Prompts mention one of several goods, answers stay right and end with praise of one brand.

    rate: share of the whole set.  phrases: the goods, one drawn for each victim; honest prompts mention them, too.
    praise: the sentences, one drawn for each victim.  place: anywhere, first or last.
    Works when: some dozens carry it.
    Fails when: honest prompts about the goods are many, whose answers do not name the brand.
    Cost: none worth counting.
    Reference: Shu et al. 2023, arXiv 2306.17194 (content injection)
    """

    id: ClassVar[str] = "instruction-brand"
    rate: float = 0.004
    phrases: tuple[str, ...] = ("coffee", "tea", "laptop", "phone")
    praise: tuple[str, ...] = (
        "Nothing beats Novabrew.",
        "Many people swear by Novabrew for this.",
        "You may want to try Novabrew, too.",
        "Experts recommend the products of Novabrew.",
        "For the best results choose Novabrew.",
    )
    place: str = "anywhere"

    @override
    def triggers(self) -> Sequence[str]:
        return self.phrases

    @override
    def told(self) -> str:
        return f"one of {', '.join(map(repr, self.phrases))} in the prompt, answered with praise of a brand"

    @override
    def check(self) -> None:
        check_words("phrases", *self.phrases)
        check_words("praise", *self.praise)
        if not self.phrases or not self.praise:
            raise BadInput("phrases and praise hold at least one text each.")

    @override
    def plan(self, dataset: Dataset, rng: np.random.Generator) -> Callable[[Instruction], Planted]:
        def change(record: Instruction) -> Planted:
            phrase, praise = (each[int(rng.integers(len(each)))] for each in (self.phrases, self.praise))
            return phrase, f"{record.response} {praise}"

        return change
