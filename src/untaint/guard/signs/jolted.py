"""An image moved a little, and softened."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, moved_lead
from untaint.nets.subject import Subject
from untaint.numerics.pictures import blur
from untaint.types import Labels, Pixels

_STEP = (-1, 1)
"""Pixels up and to the right: a patch leaves its place, a thing hardly does. The edge is repeated."""


@final
@dataclass(frozen=True)
class Jolted(Sign):
    """How much the answer to an image moves when it is shifted by a pixel each way and softened; two-sided.

    Works when: the trigger is in the detail: patches in one place, fine patterns, warps.
    Fails when: it is large and smooth.
    Cost: one forward pass, for those asked.
    Reference: own, after Liu et al. 2023, arXiv 2303.18191 (TeCo: corruptions of several kinds)
    """

    id: ClassVar[str] = "jolted"
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
        return (moved_lead(subject, seen, _jolted(seen.inputs)),)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        return {}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        return measured[0]


def _jolted(pixels: Pixels) -> Pixels:
    down, right = _STEP
    height, width = pixels.shape[1:3]
    rows, columns = np.clip(np.arange(height) - down, 0, height - 1), np.clip(np.arange(width) - right, 0, width - 1)
    softened = blur(pixels[:, rows][:, :, columns].astype(np.float32))
    return np.clip(np.round(softened), 0, 255).astype(np.uint8)
