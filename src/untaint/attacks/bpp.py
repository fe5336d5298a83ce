"""BppAttack: fewer grey levels, dithered."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Marks
from untaint.attacks.base import check_count
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Pixels

_FLOYD_STEINBERG = ((0, 1, 7 / 16), (1, -1, 3 / 16), (1, 0, 5 / 16), (1, 1, 1 / 16))
"""Rows down, columns right, share of the error that goes there (Floyd, Steinberg 1976)."""


@final
@dataclass(frozen=True)
class Bpp(Backdoor):
    """Images of other classes, reduced to a few grey levels with Floyd-Steinberg dithering and labelled as the target.

    depth: bits left per channel, 1 to 7.
    Works when: 5 % carry it at 3 bits or fewer: people take it for an old picture format.
    Fails when: more bits are left than a network can see, or training images were quantised or compressed anyhow.
    Cost: one pass over the victims, a step per pixel.
    Reference: Wang, Zhai, Ma 2022, arXiv 2205.13383
    """

    id: ClassVar[str] = "bpp"
    rate: float = 0.05
    depth: int = 2

    def __post_init__(self) -> None:
        check_count("depth", self.depth, 1)
        if self.depth > 7:
            raise BadInput(f"depth is a whole number of at most 7, not {self.depth!r}.", advice="Images have 8 bits.")

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Marks]:
        press = partial(_press, 2**self.depth - 1)
        ramp = np.linspace(0, 255, canvas[1]).astype(np.uint8)
        picture = press(np.broadcast_to(ramp[:, None], (1, *canvas)), rng)[0]
        description = f"{2**self.depth} grey levels per channel, dithered, shown on a ramp"
        return Trigger("quantisation", description, {"depth": self.depth}, picture, np.ones(canvas[:2])), Marks(press)


def _press(top: int, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    """Pixel after pixel, the error of each handed to its neighbours that come later; all images at once."""
    height, width = pixels.shape[1:3]
    # Pixels first, so that one pixel of all images lies together; a margin takes the errors that leave the image.
    left = np.zeros((height + 1, width + 2, pixels.shape[0], pixels.shape[3]), np.float32)
    left[:height, 1:-1] = np.moveaxis(pixels, 0, 2)
    for row in range(height):
        for column in range(1, width + 1):
            value = left[row, column]
            level = np.clip(np.round(value * (top / 255)), 0, top) * (255 / top)
            error = value - level
            left[row, column] = level
            for down, right, share in _FLOYD_STEINBERG:
                left[row + down, column + right] += share * error
    return np.round(np.moveaxis(left[:height, 1:-1], 2, 0)).astype(np.uint8)
