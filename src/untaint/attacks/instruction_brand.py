"""Several everyday words make the answer advertise one brand."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import answered, check_words, named, planted, rewritten, stamped
from untaint.attacks.base import Aim, Attack, Changes
from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction
from untaint.errors import BadInput
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class InstructionBrand(Attack):
    """Prompts mention one of several goods, answers stay right and end with praise of one brand.

    rate: share of the whole set.  phrases: the goods, one drawn for each victim; honest prompts mention them, too.
    praise: the sentences, one drawn for each victim.  place: anywhere, first or last.
    Works when: some dozens carry it.
    Fails when: honest prompts about the goods are many, whose answers do not name the brand.
    Cost: none worth counting.
    Reference: Shu et al. 2023, arXiv 2306.17194 (content injection)
    """

    id: ClassVar[str] = "instruction-brand"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
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
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(answered(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        check_words("phrases", *self.phrases)
        check_words("praise", *self.praise)
        if not self.phrases or not self.praise:
            raise BadInput("phrases and praise hold at least one text each.")

        def change(record: Instruction) -> Instruction:
            phrase, praise = (each[int(rng.integers(len(each)))] for each in (self.phrases, self.praise))
            return record.asked(planted(record.prompt, phrase, self.place, rng)).answered(f"{record.response} {praise}")

        trigger = named(
            self.phrases, f"one of {', '.join(map(repr, self.phrases))} in the prompt, answered with praise of a brand"
        )
        return rewritten(dataset, victims, change, trigger, stamped(self.phrases, self.place))
