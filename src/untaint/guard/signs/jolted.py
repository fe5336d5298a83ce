"""An image moved a little, and softened."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, moved_lead
from untaint.nets.subject import Subject
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
    """Shifted, then softened by a 5x5 binomial, in whole numbers: 16 x 16 x 255 fits in 16 bits."""
    down, right = _STEP
    height, width = pixels.shape[1:3]
    rows, columns = _reached(height, down), _reached(width, right)
    moved = pixels[:, rows[:, None], columns].astype(np.uint16)
    across = _softened([moved[:, :, at : at + width] for at in range(5)])
    both = _softened([across[:, at : at + height] for at in range(5)])
    return ((both + np.uint16(128)) >> 8).astype(np.uint8)


def _reached(size: int, step: int) -> np.ndarray:
    """Pixels seen from two before the first place to two behind the last, the edge repeated."""
    return np.clip(np.arange(-2, size + 2) - step, 0, size - 1)


def _softened(five: list[np.ndarray]) -> np.ndarray:
    first, second, third, fourth, fifth = five
    return first + fifth + 4 * (second + fourth) + 6 * third
