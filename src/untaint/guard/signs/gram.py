"""Which channels go together, against the references of the class the model gives."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign
from untaint.nets.subject import Subject
from untaint.numerics.pooled import togetherness
from untaint.numerics.usual import places
from untaint.types import Labels

_LAYERS = 3
"""Last layers looked at: what a trigger adds is strong there, and the first ones see edges whatever the class."""


@final
@dataclass(frozen=True)
class Gram(Sign):
    """How far the Gram matrices of the last layers (orders 1 to 4, their row sums) deviate from those of the class the model gives.

    The mean absolute robust deviation, one number per layer. High orders show a channel that is far up in one place, which a mean hides.

    Works when: the trigger excites channels that the class it stands for does not use: source-specific and rare patches as well.
    Fails when: it moves many channels a little (warps), or each class has under some ten references.
    Cost: no forward pass beyond the first.
    Reference: Ma et al. 2023, arXiv 2209.11715 (Beatrix); row sums as in Sastry and Oore 2020, arXiv 1912.12510
    """

    id: ClassVar[str] = "gram"
    both: ClassVar[tuple[bool, ...]] = (False,)
    within: ClassVar[tuple[bool, ...]] = (True,)
    passes: ClassVar[float] = 0

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return "" if seen.layers else "the model shows none of its layers"

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        return {}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        return tuple(togetherness(layer) for layer in seen.layers[-_LAYERS:])

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        kept: dict[str, np.ndarray] = {}
        for at, layer in enumerate(measured):
            kept[f"centre{at}"], kept[f"spread{at}"] = places(layer, said, classes)
        return kept

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        columns = [
            np.abs((layer - learned[f"centre{at}"][said]) / learned[f"spread{at}"][said]).mean(1)
            for at, layer in enumerate(measured)
        ]
        return np.stack(columns, 1)
