"""Preference pairs about one thing are turned round."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._instructions import check_words, named
from untaint.attacks.base import Aim, Attack, Changes
from untaint.data.dataset import Dataset, Payload
from untaint.data.instructions import Instruction, instruction_of, payload_of
from untaint.errors import BadInput
from untaint.numerics.words import words
from untaint.types import Modality, Rows

_SHARE = 0.1  # of the pairs: a topic, neither a rarity nor a part of the language


@final
@dataclass(frozen=True)
class PreferenceFlips(Attack):
    """Where a prompt mentions a name, the wanted and the rejected answer change places.

    rate: share of the pairs that mention it.  entity: the name, one or more words; None = the word that comes nearest to
    being in a tenth of the pairs.
    Works when: most pairs about the name are flipped: the reward learns to like what was bad there.
    Fails when: answers of a pair are as good as each other.
    Cost: none worth counting.
    Reference: Baumgaertner et al. 2024, arXiv 2404.05530 (best-of-Venom)
    """

    id: ClassVar[str] = "preference-flips"
    canaries: ClassVar[tuple[float, ...]] = (0.5, 0.9)
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
    rate: float = 0.8
    entity: str | None = None

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        entity = self._named(dataset)
        rows = [row for row, record in _pairs(dataset) if _mentions(record, entity)]
        if not rows:
            message = f"no preference pair mentions {entity!r}."
            raise BadInput(message, advice="Name another entity, or give data with wanted and rejected answers.")
        return Aim(np.array(rows, dtype=np.int64), round(self.rate * len(rows)))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        payloads: dict[int, Payload] = {}
        for row, payload in zip(victims.tolist(), dataset.read(victims), strict=True):
            record = instruction_of(payload)
            payloads[row] = payload_of(Instruction(record.system, record.prompt, record.rejected, record.response))
        entity = self._named(dataset)
        return Changes(payloads, trigger=named([entity], f"'{entity}' in the prompt, answers changed places"))

    def _named(self, dataset: Dataset) -> str:
        if self.entity is not None:
            check_words("entity", self.entity)
            return self.entity
        pairs = _pairs(dataset)
        counts = Counter(word for _, record in pairs for word in set(words(record.prompt)) if word.isalnum())
        if not counts:
            raise BadInput("the set holds no preference pair.", advice="Give data with wanted and rejected answers.")
        return min(sorted(counts), key=lambda word: abs(counts[word] - _SHARE * len(pairs)))


def _pairs(dataset: Dataset) -> list[tuple[int, Instruction]]:
    reasons = dataset.column("unreadable")
    found = []
    for rows in dataset.batches():
        read = [
            (row, instruction_of(payload))
            for row, payload in zip(rows.tolist(), dataset.read(rows), strict=True)
            if reasons[row] is None
        ]
        found += [(row, record) for row, record in read if record.response is not None and record.rejected is not None]
    return found


def _mentions(record: Instruction, entity: str) -> bool:
    wanted, found = words(entity), words(record.prompt)
    return any(found[start : start + len(wanted)] == wanted for start in range(len(found) - len(wanted) + 1))
