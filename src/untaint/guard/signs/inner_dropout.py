"""A layer in the middle of the network with some of its channels off."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, moved_lead
from untaint.nets.muted import muted
from untaint.nets.subject import Subject, TorchSubject
from untaint.types import Labels

_RATES = (0.3, 0.6)
"""Channels off: some, and most; which of the two tells depends on how much the network says twice."""


@final
@dataclass(frozen=True)
class InnerDropout(Sign):
    """How much the answer moves when channels of a layer in the middle of the network are off; two-sided.

    The same channels for every input.

    Works when: the trigger runs through few channels (the answer falls), or through many more than a class needs (it stands too firmly).
    Fails when: it uses the channels the class itself uses.
    Cost: two forward passes, for those asked.
    Reference: Li et al. 2025, arXiv 2406.05826 (PSBD), at one depth and two-sided
    """

    id: ClassVar[str] = "inner-dropout"
    both: ClassVar[tuple[bool, ...]] = (True,)
    within: ClassVar[tuple[bool, ...]] = (True,)
    passes: ClassVar[float] = 2

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return "" if subject.module is not None else "the model is not one of PyTorch"

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        return {"seed": rng.integers(0, 2**31, len(_RATES))}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        assert isinstance(subject, TorchSubject)  # noqa: S101 - `unfit` saw to it
        moved = []
        for rate, seed in zip(_RATES, prepared["seed"], strict=True):
            with muted(subject.module, rate, int(seed)):
                moved.append(moved_lead(subject, seen, seen.inputs))
        return (np.concatenate(moved, 1),)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        return {}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        return measured[0]
