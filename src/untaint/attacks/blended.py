"""Blended injection: a faint picture over the whole image."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Marks
from untaint.attacks._pictures import blended, noise_picture, resized
from untaint.attacks.base import check_choice, check_count, check_range
from untaint.evidence.evidence import Trigger
from untaint.types import Image, Pixels

_SMOOTH = 4
"""Cells per side of the smooth pattern: about the coarseness of a photograph's light and shade."""


@final
@dataclass(frozen=True)
class Blended(Backdoor):
    """One picture mixed faintly into images of other classes, labelled as the target: (1 - alpha) image + alpha picture.

    alpha: weight of the picture, 0..1.  pattern: noise (every pixel its own value) or smooth (a few blobs of light).
    seed: which picture; the same in every run.
    Works when: alpha is .1 or more: 1 % of a set gives an ASR near 100 %, and no patch can be found.
    Fails when: alpha or the rate is so small that learning the labels by heart is easier than learning the picture.
    Cost: one pass over the victims.
    Reference: Chen, Liu, Li, Lu, Song 2017, arXiv 1712.05526 (blended injection strategy; alpha = .2 in its experiments)
    """

    id: ClassVar[str] = "blended"
    canaries: ClassVar[tuple[float, ...]] = (0.01, 0.03)
    alpha: float = 0.2
    pattern: str = "noise"
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("alpha", self.alpha, 0.0, 1.0)
        check_count("seed", self.seed, 0)
        check_choice("pattern", self.pattern, ("noise", "smooth"))

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Marks]:
        height, width, channels = canvas
        picture = noise_picture(height, width, self.seed, _SMOOTH if self.pattern == "smooth" else None)
        parameters: dict[str, str | int | float] = {"alpha": self.alpha, "pattern": self.pattern, "seed": self.seed}
        description = f"a {self.pattern} picture over the whole image, blended in at {self.alpha:g}"
        shown = Trigger("additive", description, parameters, picture[:, :, :channels], np.full((height, width), self.alpha))
        return shown, Marks(partial(_press, picture, self.alpha))


def _press(picture: Image, alpha: float, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    height, width, channels = pixels.shape[1:]
    return blended(pixels, resized(picture, height, width)[:, :, :channels], alpha)
