"""An image in dimmer light."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, moved_lead
from untaint.nets.subject import Subject
from untaint.types import Labels

_LIGHT = 0.6
"""Share of the light left: a patch loses its glare, a thing stays what it is. Brighter would cut off what is bright already."""
_DIMMER = np.round(np.arange(256) * _LIGHT).astype(np.uint8)


@final
@dataclass(frozen=True)
class Dimmed(Sign):
    """How much the answer to an image moves when it gets dimmer; too little is as suspicious as too much.

    Works when: the trigger is bright (patches), or an amount of something (blends), so that the answer hangs on how much of it there is.
    Fails when: the trigger is a shape that light does not change: warps.
    Cost: one forward pass, for those asked.
    Reference: Guo et al. 2023, arXiv 2302.03251 (SCALE-UP), turned round and made two-sided
    """

    id: ClassVar[str] = "dimmed"
    both: ClassVar[tuple[bool, ...]] = (True,)
    within: ClassVar[tuple[bool, ...]] = (True,)
    passes: ClassVar[float] = 1

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return "" if seen.images else "the inputs are no images of 0..255"

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        return {}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        return (moved_lead(subject, seen, _DIMMER[seen.inputs]),)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        return {}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        return measured[0]
