"""A row of numbers with noise on it."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, moved_lead
from untaint.nets.subject import Subject
from untaint.types import Labels

_SHARE = 0.3
"""Noise on a column, in standard deviations of it among the references: enough to blur exact values, too little to make another row."""


@final
@dataclass(frozen=True)
class NoisyRows(Sign):
    """How much the answer to a row moves when every number of it gets a little noise; two-sided.

    The same draw of noise for every row, so that one row gets one answer.

    Works when: the trigger is exact values in a few columns.
    Fails when: it is a coarse rule, such as one column far up.
    Cost: one forward pass, for those asked.
    Reference: own, after Cohen et al. 2019, arXiv 1902.02918 (answers under noise)
    """

    id: ClassVar[str] = "noisy-rows"
    both: ClassVar[tuple[bool, ...]] = (True,)
    within: ClassVar[tuple[bool, ...]] = (True,)
    passes: ClassVar[float] = 1

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return "" if np.issubdtype(seen.inputs.dtype, np.floating) else "the inputs are no numbers with decimals"

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        rows = seen.inputs.reshape(len(seen.inputs), -1)
        noise = rng.standard_normal(rows.shape[1]) * rows.std(0, dtype=np.float64) * _SHARE
        return {"noise": noise.reshape(seen.inputs.shape[1:]).astype(np.float32)}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        return (moved_lead(subject, seen, (seen.inputs + prepared["noise"]).astype(seen.inputs.dtype)),)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        return {}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        return measured[0]
