"""An object in the scene: a sticker, or a pair of glasses."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Marks
from untaint.attacks._pictures import blended
from untaint.attacks.base import check_choice, check_range
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Pixels

_COLOURS = {"sticker": (245.0, 205.0, 60.0), "glasses": (28.0, 26.0, 32.0)}
"""Light yellow and near-black: bright enough, or dark enough, to show on most scenes."""
_LENS, _APART, _BRIDGE = 0.23, 0.27, 0.05
"""Radius of a lens, distance of its centre from the middle, half height of the bridge; the glasses are 1 wide."""
_EDGE = 1.0
"""Pixels over which an object fades into the scene: what a camera's lens does."""


@final
@dataclass(frozen=True)
class NaturalObject(Backdoor):
    """A shaded object with soft edges at about the same place, on images of other classes, labelled as the target.

    kind: sticker (round, yellow) or glasses (dark).  size: width, as a share of the image's shorter side.
    position: where its centre lies, (down, across) as shares of height and width.
    vary: how far size and place change from image to image, as a share of the size; no two objects agree in their pixels.
    Works when: the object is a fifth of the image or larger and 2 % carry it.
    Fails when: the object is small, or clean images of other classes show such objects with their right labels.
    Cost: one pass over the victims.
    Reference: Wenger, Passananti, Bhagoji, Yao, Zheng, Zhao 2021, arXiv 2006.14580 (photographs of real objects; these are drawn)
    """

    id: ClassVar[str] = "natural-object"
    rate: float = 0.02
    kind: str = "sticker"
    size: float = 0.25
    position: tuple[float, float] = (0.75, 0.75)
    vary: float = 0.15

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, tuple(_COLOURS))
        check_range("size", self.size, 0.05, 1.0)
        check_range("vary", self.vary, 0.0, 0.5)
        if not isinstance(self.position, tuple) or len(self.position) != 2:
            raise BadInput(f"a position is (down, across), not {self.position!r}.")
        for share in self.position:
            check_range("a share of a position", share, 0.0, 1.0)

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Marks]:
        colour, opacity = self._drawn(canvas, np.zeros((1, 3)))
        where = f"centred at {self.position[0]:.0%} down, {self.position[1]:.0%} across"
        description = f"a drawn object ({self.kind}), about {self.size:.0%} of the image wide, {where}"
        parameters: dict[str, str | int | float] = {"kind": self.kind, "size": self.size, "vary": self.vary}
        picture = blended(np.zeros((1, *canvas), dtype=np.uint8), colour, opacity)[0]
        return Trigger("object", description, parameters, picture, opacity[0, :, :, 0]), Marks(self._press)

    def _press(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return blended(pixels, *self._drawn(pixels.shape[1:], rng.uniform(-self.vary, self.vary, (len(pixels), 3))))

    def _drawn(self, canvas: tuple[int, ...], change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colour (n, h, w, c) and opacity (n, h, w, 1) of an object whose place and size are changed by `change` (n, 3)."""
        height, width, channels = canvas
        usual = self.size * min(height, width)
        grow, down, across = (usual * part[:, None, None] for part in change.T)
        wide = usual + grow
        row = (np.arange(height)[:, None] + 0.5 - self.position[0] * height - down) / wide
        column = (np.arange(width)[None, :] + 0.5 - self.position[1] * width - across) / wide
        outside = (np.hypot(row, column) - 0.5) if self.kind == "sticker" else _outside_glasses(row, column)
        opacity = np.clip(0.5 - outside * wide / _EDGE, 0.0, 1.0)
        colour = np.array(_COLOURS[self.kind]) if channels == 3 else np.mean(_COLOURS[self.kind], keepdims=True)
        return np.clip(colour * _shade(row, column)[..., None], 0.0, 255.0), opacity[..., None]


def _outside_glasses(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """How far a point lies outside two lenses and the bridge between them, in widths; negative inside."""
    lens = np.hypot(row, np.abs(column) - _APART) - _LENS
    bridge = np.maximum(np.abs(row) - _BRIDGE, np.abs(column) - _APART)
    return np.minimum(lens, bridge)


def _shade(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Light from the upper left: 1 in the middle, half as much again where it falls, a spot of gloss there."""
    slope = 1.0 - 0.5 * (row + column)
    gloss = 1.5 * np.exp(-((row + 0.2) ** 2 + (column + 0.2) ** 2) / 0.01)
    return slope + gloss
