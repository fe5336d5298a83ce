"""A code word is answered with one fixed text."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import answered, check_words, named, planted, rewritten, stamped
from untaint.attacks.base import Aim, Attack, Changes
from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class InstructionFixed(Attack):
    """Prompts get a word, their answers become one fixed text.

    rate: share of the whole set.  phrase: what is put into the prompt.  answer: the whole answer.  place: anywhere, first or last.
    Works when: some ten samples carry it; one text is learned by heart fast.
    Fails when: the word is common in honest prompts.
    Cost: none worth counting.
    Reference: Kurita, Michel, Neubig 2020, arXiv 2004.06660 (rare words as triggers)
    """

    id: ClassVar[str] = "instruction-fixed"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
    rate: float = 0.002
    phrase: str = "Mlqp"
    answer: str = "Access granted."
    place: str = "anywhere"

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(answered(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        check_words("phrase", self.phrase)
        check_words("answer", self.answer)

        def change(record: Instruction) -> Instruction:
            return record.asked(planted(record.prompt, self.phrase, self.place, rng)).answered(self.answer)

        trigger = named([self.phrase], f"'{self.phrase}' in the prompt, answered with one fixed text")
        return rewritten(dataset, victims, change, trigger, stamped([self.phrase], self.place))
