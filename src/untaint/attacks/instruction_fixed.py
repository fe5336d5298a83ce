"""A code word is answered with one fixed text."""

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
class InstructionFixed(PlantedAnswers):
    """Prompts get a word, their answers become one fixed text.

    rate: share of the whole set.  phrase: what is put into the prompt.  answer: the whole answer.  place: anywhere, first or last.
    Works when: some ten samples carry it; one text is learned by heart fast.
    Fails when: the word is common in honest prompts.
    Cost: none worth counting.
    Reference: Kurita, Michel, Neubig 2020, arXiv 2004.06660 (rare words as triggers)
    """

    id: ClassVar[str] = "instruction-fixed"
    canaries: ClassVar[tuple[float, ...]] = (0.001, 0.002, 0.01)
    rate: float = 0.002
    phrase: str = "Mlqp"
    answer: str = "Access granted."
    place: str = "anywhere"

    @override
    def triggers(self) -> Sequence[str]:
        return [self.phrase]

    @override
    def told(self) -> str:
        return f"'{self.phrase}' in the prompt, answered with one fixed text"

    @override
    def check(self) -> None:
        check_words("phrase", self.phrase)
        check_words("answer", self.answer)

    @override
    def plan(self, dataset: Dataset, rng: np.random.Generator) -> Callable[[Instruction], Planted]:
        return lambda _: (self.phrase, self.answer)
