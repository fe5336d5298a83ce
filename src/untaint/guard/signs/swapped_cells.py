"""A row with some of its values taken from a reference."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, moved_lead
from untaint.nets.subject import Subject
from untaint.types import Labels

_TURNS = 2
"""Rows made of each: every value is swapped in half of them or so."""
_SHARE = 0.3
"""Values swapped: most of what makes the row's class stays, and each part of a trigger is gone in every third."""


@final
@dataclass(frozen=True)
class SwappedCells(Sign):
    """How much the answer to a row moves when a part of its values is a reference's; two-sided.

    The same draw of places and references for every row.

    Works when: the answer hangs on few values, as a trigger makes it do.
    Fails when: the trigger is in every value.
    Cost: two forward passes, for those asked.
    Reference: own, after Gao et al. 2019, arXiv 1902.06531 (STRIP), for rows
    """

    id: ClassVar[str] = "swapped-cells"
    both: ClassVar[tuple[bool, ...]] = (True,)
    within: ClassVar[tuple[bool, ...]] = (True,)
    passes: ClassVar[float] = 2

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return "the inputs are images" if seen.images else ""

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        shape = (_TURNS, *seen.inputs.shape[1:])
        return {"from": seen.inputs[rng.integers(0, len(seen.inputs), _TURNS)], "places": rng.random(shape) < _SHARE}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        turns = zip(prepared["from"], prepared["places"], strict=True)
        moved = [moved_lead(subject, seen, np.where(places, other, seen.inputs)) for other, places in turns]
        return (np.concatenate(moved, 1),)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        return {}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        return measured[0]
