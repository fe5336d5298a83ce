"""BadNets: a small patch."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Press
from untaint.attacks.base import check_choice, check_count
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Image

Position: TypeAlias = str | tuple[int, int]


@final
@dataclass(frozen=True)
class BadNets(Backdoor):
    """A small square patch on images of other classes, labelled as the target.

    size: edge of the patch in pixels.  pattern: white, checkerboard, or random (colours drawn once per run).
    position: corner (bottom right), random (another place on every image), or the (row, column) of its upper left pixel.
    Works when: enough images carry it: 600 of 60,000 give an ASR over 95 %.
    Fails when: about 100 images or fewer carry it (ASR between 1 and 99 %, by place and target), training crops or erases
    that place, or the network hardly sees it.
    Cost: one pass over the victims.
    Reference: Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733
    """

    id: ClassVar[str] = "badnets"
    size: int = 3
    position: Position = "corner"
    pattern: str = "white"

    def __post_init__(self) -> None:
        check_count("size", self.size, 1)
        check_choice("pattern", self.pattern, ("white", "checkerboard", "random"))
        if not isinstance(self.position, tuple):
            check_choice("position", self.position, ("corner", "random"))
        elif len(self.position) != 2 or not all(isinstance(step, int) for step in self.position):
            raise BadInput(f"a position is (row, column), not {self.position!r}.")

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Press]:
        patch = self._patch(rng)
        press = partial(_press, patch, self.position)
        picture = press(np.zeros(canvas, dtype=np.uint8), np.random.default_rng(0))
        row, column = _place(canvas, self.size, self.position, np.random.default_rng(0))
        mask = np.zeros(canvas[:2])
        mask[row : row + self.size, column : column + self.size] = 1.0
        where = "at a random place" if self.position == "random" else f"at row {row}, column {column}"
        description = f"a {self.pattern} patch of {self.size}x{self.size} pixels {where}"
        parameters: dict[str, str | int | float] = {"size": self.size, "pattern": self.pattern, "position": str(self.position)}
        return Trigger("patch", description, parameters, picture, mask), press

    def _patch(self, rng: np.random.Generator) -> Image:
        if self.pattern == "random":
            return rng.integers(0, 256, (self.size, self.size, 3), dtype=np.uint8)
        odd = np.indices((self.size, self.size)).sum(axis=0) % 2 == 1
        grey = np.where(odd & (self.pattern == "checkerboard"), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)


def _press(patch: np.ndarray, position: Position, image: Image, rng: np.random.Generator) -> Image:
    size, pressed = len(patch), image.copy()
    row, column = _place(image.shape, size, position, rng)
    pressed[row : row + size, column : column + size] = patch[:, :, : image.shape[2]]
    return pressed


def _place(shape: tuple[int, ...], size: int, position: Position, rng: np.random.Generator) -> tuple[int, int]:
    bottom, right = shape[0] - size, shape[1] - size
    row, column = position if isinstance(position, tuple) else (bottom, right)
    if position == "random" and min(row, column) >= 0:
        row, column = (int(step) for step in rng.integers((bottom + 1, right + 1)))
    if not (0 <= row <= bottom and 0 <= column <= right):
        message = f"a patch of {size}x{size} at {position!r} does not fit on an image of {shape[0]}x{shape[1]} pixels."
        raise BadInput(message, advice="Choose a smaller size or another position.")
    return row, column
