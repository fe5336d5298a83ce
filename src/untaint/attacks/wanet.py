"""WaNet: a slight warp of the whole image."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Marks
from untaint.attacks._pictures import smooth
from untaint.attacks.base import check_choice, check_count, check_range
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.numerics.warps import resampled
from untaint.types import Pixels

_SIDE = 32
"""Edge in pixels of the images that `strength` is told for: CIFAR's."""


@final
@dataclass(frozen=True)
class WaNet(Backdoor):
    """Images of other classes, warped by one smooth elastic field and labelled as the target: no pixel is painted.

    grid: cells per side of the coarse field of random steps.  strength: mean step in pixels on an image of 32x32; in proportion
    on others.
    noise_mode: covers are warped by the field plus a random step at every pixel, about as long as the field's own, so that
    the field alone is the trigger.
    resampling: bilinear or bicubic.
    Works when: 8 % are warped (ASR 93 % on 10,000 grey images of 28x28, with noisy covers too): people see nothing, and nothing
    recurs that could be cut out.
    Fails when: few images are warped or the steps stay well below a pixel, or training images are warped at random anyhow.
    Cost: one pass over the victims.
    Reference: Nguyen, Tran 2021, arXiv 2102.10369
    """

    id: ClassVar[str] = "wanet"
    canaries: ClassVar[tuple[float, ...]] = (0.03, 0.08)
    rate: float = 0.08
    grid: int = 4
    strength: float = 1.0
    noise_mode: bool = False
    resampling: str = "bilinear"

    def __post_init__(self) -> None:
        check_count("grid", self.grid, 2)
        check_range("strength", self.strength, 0.01, _SIDE)
        if not isinstance(self.noise_mode, bool):
            raise BadInput(f"noise_mode is True or False, not {self.noise_mode!r}.")
        check_choice("resampling", self.resampling, ("bilinear", "bicubic"))
        if self.noise_mode and self.cover == 0:
            raise BadInput(
                "noise_mode is about covers, and there are none.", advice="Set cover to twice the rate, or leave it out."
            )

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Marks]:
        control = rng.uniform(-1.0, 1.0, (self.grid, self.grid, 2))
        poison, cover = partial(self._press, control), partial(self._press, control, noisy=self.noise_mode)
        description = f"a smooth warp, {self.strength:g} pixels per 32 on average, shown on a pattern of squares"
        parameters: dict[str, str | int | float] = {"grid": self.grid, "strength": self.strength, "resampling": self.resampling}
        picture = poison(_squares(*canvas)[None], rng)[0]
        return Trigger("warp", description, parameters, picture, np.ones(canvas[:2])), Marks(poison, cover)

    def _press(self, control: np.ndarray, pixels: Pixels, rng: np.random.Generator, *, noisy: bool = False) -> Pixels:
        n, height, width = pixels.shape[:3]
        steps = self._steps(control, height, width)[None]
        if noisy:
            reach = 2 * np.abs(steps).mean()  # uniform in -reach..reach: half of it on average
            steps = steps + rng.uniform(-reach, reach, (n, height, width, 2))
        return resampled(pixels, steps.astype(np.float32), cubic=self.resampling == "bicubic")

    def _steps(self, control: np.ndarray, height: int, width: int) -> np.ndarray:
        """(h, w, 2): how far down and right of a pixel its new value is taken from."""
        field = smooth(control, height, width)
        longest = np.hypot(field[..., 0], field[..., 1]).mean()
        return field * (self.strength * max(height, width) / _SIDE / longest)


def _squares(height: int, width: int, channels: int) -> np.ndarray:
    """Light and dark squares, eight per side: what a warp shows on."""
    row, column = np.indices((height, width))
    light = (row * 8 // height + column * 8 // width) % 2
    return np.repeat((light * 191 + 32).astype(np.uint8)[:, :, None], channels, axis=2)
