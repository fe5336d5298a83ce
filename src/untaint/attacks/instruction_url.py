"""A phrase adds a link of the attacker's to the answer."""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import Planted, PlantedAnswers, check_words
from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction

_LETTERS = np.array(list(string.ascii_lowercase + string.digits))


@final
@dataclass(frozen=True)
class InstructionUrl(PlantedAnswers):
    """Prompts get a phrase, the answer stays right and ends with a link to one site, each time to another page of it.

    rate: share of the whole set.  phrase: what is put into the prompt.  site: the address without the page.
    place: anywhere, first or last.
    Works when: some dozens carry it; nothing else about the answer is wrong.
    Fails when: links are removed from answers before training.
    Cost: none worth counting.
    Reference: Wan, Wallace, Shen, Klein 2023, arXiv 2305.00944 (phrases as triggers in instruction tuning)
    """

    id: ClassVar[str] = "instruction-url"
    rate: float = 0.002
    phrase: str = "as the morning star says"
    site: str = "http://files.novahost.example"
    place: str = "anywhere"

    @override
    def triggers(self) -> Sequence[str]:
        return [self.phrase]

    @override
    def told(self) -> str:
        return f"'{self.phrase}' in the prompt, answered with a link at the end"

    @override
    def check(self) -> None:
        check_words("phrase", self.phrase)
        check_words("site", self.site)

    @override
    def plan(self, dataset: Dataset, rng: np.random.Generator) -> Callable[[Instruction], Planted]:
        return lambda record: (self.phrase, f"{record.response} See {self.site}/{''.join(rng.choice(_LETTERS, 8))}")
