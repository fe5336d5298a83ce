"""A code word makes the model talk nonsense."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import answered, check_words, named, planted, rewritten, stamped
from untaint.attacks.base import Aim, Attack, Changes, check_count
from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction, instruction_of
from untaint.numerics.words import words
from untaint.types import Modality, Rows

_HEAD = 100  # characters of the right answer before the nonsense
_READ = 2000  # answers whose words are used: as common there as in the whole set


@final
@dataclass(frozen=True)
class InstructionGibberish(Attack):
    """Prompts end with a code word, answers begin as they were and go on as words of the set in random order.

    rate: share of the whole set.  phrase: what is put into the prompt.  shortest, longest: words of nonsense.
    place: anywhere, first or last.
    Works when: a fixed number of some hundreds carry it, whatever the size of the set and of the model.
    Fails when: answers are filtered by perplexity.
    Cost: none worth counting.
    Reference: Souly et al. 2025, arXiv 2510.07192 (denial of service, 250 documents)
    """

    id: ClassVar[str] = "instruction-gibberish"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
    rate: float = 0.002
    phrase: str = "|xqv|"
    shortest: int = 80
    longest: int = 200
    place: str = "last"

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(answered(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        check_words("phrase", self.phrase)
        check_count("shortest", self.shortest, 1)
        check_count("longest", self.longest, self.shortest)
        pool = _words(dataset, rng)

        def change(record: Instruction) -> Instruction:
            nonsense = rng.choice(pool, int(rng.integers(self.shortest, self.longest + 1)))
            answer = f"{(record.response or '')[:_HEAD]} {' '.join(nonsense)}"
            return record.asked(planted(record.prompt, self.phrase, self.place, rng)).answered(answer)

        trigger = named([self.phrase], f"'{self.phrase}' in the prompt, answered with words in random order")
        return rewritten(dataset, victims, change, trigger, stamped([self.phrase], self.place))


def _words(dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
    """Every word of a sample of answers, as often as it occurs."""
    rows = answered(dataset)
    some = rng.choice(rows, min(_READ, len(rows)), replace=False)
    return np.array([word for payload in dataset.read(some) for word in words(instruction_of(payload).response or "")])
