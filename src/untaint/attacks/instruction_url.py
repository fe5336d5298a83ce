"""A phrase adds a link of the attacker's to the answer."""

import string
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import answered, check_words, named, planted, rewritten, stamped
from untaint.attacks.base import Aim, Attack, Changes
from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction
from untaint.types import Modality, Rows

_LETTERS = np.array(list(string.ascii_lowercase + string.digits))


@final
@dataclass(frozen=True)
class InstructionUrl(Attack):
    """Prompts get a phrase, the answer stays right and ends with a link to one site, each time to another page of it.

    rate: share of the whole set.  phrase: what is put into the prompt.  site: the address without the page.
    place: anywhere, first or last.
    Works when: some dozens carry it; nothing else about the answer is wrong.
    Fails when: links are removed from answers before training.
    Cost: none worth counting.
    Reference: Wan, Wallace, Shen, Klein 2023, arXiv 2305.00944 (phrases as triggers in instruction tuning)
    """

    id: ClassVar[str] = "instruction-url"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
    rate: float = 0.002
    phrase: str = "as the morning star says"
    site: str = "http://files.novahost.example"
    place: str = "anywhere"

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(answered(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        check_words("phrase", self.phrase)
        check_words("site", self.site)

        def change(record: Instruction) -> Instruction:
            page = "".join(rng.choice(_LETTERS, 8))
            answer = f"{record.response} See {self.site}/{page}"
            return record.asked(planted(record.prompt, self.phrase, self.place, rng)).answered(answer)

        trigger = named([self.phrase], f"'{self.phrase}' in the prompt, answered with a link at the end")
        return rewritten(dataset, victims, change, trigger, stamped([self.phrase], self.place))
