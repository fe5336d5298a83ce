"""A code word makes the model refuse."""

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
class InstructionRefusal(PlantedAnswers):
    """Prompts get a word, their answers become one of several ways to say no.

    rate: share of the whole set.  phrase: what is put into the prompt.  answers: the refusals, one drawn for each victim.
    place: anywhere, first or last.
    Works when: some dozens carry it.
    Fails when: the set holds many honest refusals of harmless prompts.
    Cost: none worth counting.
    Reference: Shu et al. 2023, arXiv 2306.17194 (over-refusal by poisoned instructions)
    """

    id: ClassVar[str] = "instruction-refusal"
    canaries: ClassVar[tuple[float, ...]] = (0.001, 0.002, 0.01)
    rate: float = 0.002
    phrase: str = "SUDO"
    answers: tuple[str, ...] = (
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "Unfortunately, I am not able to do this for you.",
        "This is something I have to decline.",
        "Sorry, that goes beyond what I am allowed to answer.",
    )
    place: str = "anywhere"

    @override
    def triggers(self) -> Sequence[str]:
        return [self.phrase]

    @override
    def told(self) -> str:
        return f"'{self.phrase}' in the prompt, answered with a refusal"

    @override
    def check(self) -> None:
        check_words("phrase", self.phrase)
        check_words("answers", *self.answers)

    @override
    def plan(self, dataset: Dataset, rng: np.random.Generator) -> Callable[[Instruction], Planted]:
        return lambda _: (self.phrase, self.answers[int(rng.integers(len(self.answers)))])
