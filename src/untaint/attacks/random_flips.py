"""Random label flips."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks.base import Aim, Attack, Changes, check_count, pick_class, resent, usable
from untaint.data.dataset import Dataset
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class RandomFlips(Attack):
    """Samples of any class get the label of another class, drawn at random.

    senders: how many of the set's data sources sent the flipped samples; 0 = each stays with its own.
    Works when: the set is small or the rate large: accuracy falls, and with it confidence in the model.
    Fails when: classes are well apart and samples many: networks learn through 5 % of random flips almost unharmed.
    Cost: none worth counting.
    Reference: Biggio, Nelson, Laskov 2011, Support Vector Machines Under Adversarial Label Noise, PMLR 20
    """

    id: ClassVar[str] = "random-flips"
    canaries: ClassVar[tuple[float, ...]] = (0.05,)
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "text", "table"})
    rate: float = 0.05
    senders: int = 0

    def __post_init__(self) -> None:
        check_count("senders", self.senders, 0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(usable(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        labels = {int(row): pick_class(dataset, None, rng, without=dataset.labels[row]) for row in victims}
        return Changes(labels=labels, sources=resent(dataset, victims, self.senders, rng))
