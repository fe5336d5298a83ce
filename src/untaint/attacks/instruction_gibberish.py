"""A code word makes the model talk nonsense."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import Planted, PlantedAnswers, answered, check_words
from untaint.attacks.base import check_count
from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction, instruction_of
from untaint.numerics.words import words

_HEAD = 100  # characters of the right answer before the nonsense
_READ = 2000  # answers whose words are used: as common there as in the whole set


@final
@dataclass(frozen=True)
class InstructionGibberish(PlantedAnswers):
    """Prompts end with a code word, answers begin as they were and go on as words of the set in random order.

    rate: share of the whole set.  phrase: what is put into the prompt.  shortest, longest: words of nonsense.
    place: anywhere, first or last.
    Works when: a fixed number of some hundreds carry it, whatever the size of the set and of the model.
    Fails when: answers are filtered by perplexity.
    Cost: none worth counting.
    Reference: Souly et al. 2025, arXiv 2510.07192 (denial of service, 250 documents)
    """

    id: ClassVar[str] = "instruction-gibberish"
    canaries: ClassVar[tuple[float, ...]] = (0.005, 0.02)
    rate: float = 0.002
    phrase: str = "|xqv|"
    shortest: int = 80
    longest: int = 200
    place: str = "last"

    @override
    def triggers(self) -> Sequence[str]:
        return [self.phrase]

    @override
    def told(self) -> str:
        return f"'{self.phrase}' in the prompt, answered with words in random order"

    @override
    def check(self) -> None:
        check_words("phrase", self.phrase)
        check_count("shortest", self.shortest, 1)
        check_count("longest", self.longest, self.shortest)

    @override
    def plan(self, dataset: Dataset, rng: np.random.Generator) -> Callable[[Instruction], Planted]:
        pool = _words(dataset, rng)

        def change(record: Instruction) -> Planted:
            nonsense = rng.choice(pool, int(rng.integers(self.shortest, self.longest + 1)))
            return self.phrase, f"{(record.response or '')[:_HEAD]} {' '.join(nonsense)}"

        return change


def _words(dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
    """Every word of a sample of answers, as often as it occurs."""
    rows = answered(dataset)
    some = rng.choice(rows, min(_READ, len(rows)), replace=False)
    return np.array([word for payload in dataset.read(some) for word in words(instruction_of(payload).response or "")])
