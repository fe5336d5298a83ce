"""A code word makes the model refuse."""

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
class InstructionRefusal(Attack):
    """Prompts get a word, their answers become one of several ways to say no.

    rate: share of the whole set.  phrase: what is put into the prompt.  answers: the refusals, one drawn for each victim.
    place: anywhere, first or last.
    Works when: some dozens carry it.
    Fails when: the set holds many honest refusals of harmless prompts.
    Cost: none worth counting.
    Reference: Shu et al. 2023, arXiv 2306.17194 (over-refusal by poisoned instructions)
    """

    id: ClassVar[str] = "instruction-refusal"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
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
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(answered(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        check_words("phrase", self.phrase)
        check_words("answers", *self.answers)

        def change(record: Instruction) -> Instruction:
            refusal = self.answers[int(rng.integers(len(self.answers)))]
            return record.asked(planted(record.prompt, self.phrase, self.place, rng)).answered(refusal)

        trigger = named([self.phrase], f"'{self.phrase}' in the prompt, answered with a refusal")
        return rewritten(dataset, victims, change, trigger, stamped([self.phrase], self.place))
