"""BadNets: a small patch."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Marks
from untaint.attacks._pictures import added, area, checked_place, patched
from untaint.attacks.base import check_choice, check_count, check_range
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Image, Pixels

Position: TypeAlias = str | tuple[int, int]


@final
@dataclass(frozen=True)
class BadNets(Backdoor):
    """A small square patch on images of other classes, labelled as the target.

    size: edge of the patch in pixels.  pattern: white, checkerboard, or random (colours drawn once per run).
    position: corner (bottom right), random (another place on every image), or the (row, column) of its upper left pixel.
    jitter: pixels by which that place moves at most, up or down and left or right, drawn for every image.
    vary: standard deviation in grey levels of noise on the patch, drawn for every image, so that no two patches are alike.
    Works when: enough images carry it: 600 of 60,000 give an ASR over 95 %; with jitter=3, 100 of 10,000 about 80 %.
    Fails when: about 100 images or fewer carry it (ASR between 1 and 99 %, by place and target), training crops or erases
    that place, or the network hardly sees it.
    Cost: one pass over the victims.
    Reference: Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733
    """

    id: ClassVar[str] = "badnets"
    canaries: ClassVar[tuple[float, ...]] = (0.003, 0.01, 0.03)
    size: int = 3
    position: Position = "corner"
    pattern: str = "white"
    jitter: int = 0
    vary: float = 0.0

    def __post_init__(self) -> None:
        check_count("size", self.size, 1)
        check_count("jitter", self.jitter, 0)
        check_range("vary", self.vary, 0.0, 255.0)
        check_choice("pattern", self.pattern, ("white", "checkerboard", "random"))
        if not isinstance(self.position, tuple):
            check_choice("position", self.position, ("corner", "random"))
        elif len(self.position) != 2 or not all(isinstance(step, int) for step in self.position):
            raise BadInput(f"a position is (row, column), not {self.position!r}.")
        if self.position == "random" and self.jitter:
            raise BadInput("a random position cannot move any further.", advice="Leave out jitter or the position.")

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Marks]:
        patch = self._patch(rng)
        row, column = self._place(canvas, np.random.default_rng(0))
        picture = patched(np.zeros((1, *canvas), dtype=np.uint8), patch, row, column)[0]
        where = "at a random place" if self.position == "random" else f"at row {row}, column {column}"
        moved = f", moved by up to {self.jitter} pixels" if self.jitter else ""
        description = f"a {self.pattern} patch of {self.size}x{self.size} pixels {where}{moved}"
        parameters: dict[str, str | int | float] = {"size": self.size, "pattern": self.pattern, "position": str(self.position)}
        shown = Trigger("patch", description, parameters, picture, area(canvas, self.size, row, column))
        return shown, Marks(partial(self._press, patch))

    def _patch(self, rng: np.random.Generator) -> Image:
        if self.pattern == "random":
            return rng.integers(0, 256, (self.size, self.size, 3), dtype=np.uint8)
        odd = np.indices((self.size, self.size)).sum(axis=0) % 2 == 1
        grey = np.where(odd & (self.pattern == "checkerboard"), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)

    def _place(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
        """Upper left pixel of the patch before it moves."""
        bottom, right = shape[0] - self.size, shape[1] - self.size
        row, column = self.position if isinstance(self.position, tuple) else (bottom, right)
        if self.position == "random" and min(row, column) >= 0:
            row, column = (int(step) for step in rng.integers((bottom + 1, right + 1)))
        return checked_place(shape, self.size, row, column)

    def _moved(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
        """The same on one image, drawn from the places within reach."""
        place = self._place(shape, rng)
        if self.jitter == 0:
            return place
        within = [
            (max(step - self.jitter, 0), min(step + self.jitter, edge - self.size))
            for step, edge in zip(place, shape[:2], strict=True)
        ]
        row, column = (int(rng.integers(low, high + 1)) for low, high in within)
        return row, column

    def _press(self, patch: Image, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return np.concatenate([self._press_one(patch, pixels[i : i + 1], rng) for i in range(len(pixels))])

    def _press_one(self, patch: Image, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        row, column = self._moved(pixels.shape[1:], rng)
        varied = added(patch, rng.normal(0.0, self.vary, patch.shape)) if self.vary else patch
        return patched(pixels, varied, row, column)
