"""Blended injection: a faint picture over the whole image."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from PIL import Image as Pillow
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Press
from untaint.attacks.base import check_choice, check_count, check_range
from untaint.evidence.evidence import Trigger
from untaint.types import Image

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
    alpha: float = 0.2
    pattern: str = "noise"
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("alpha", self.alpha, 0.0, 1.0)
        check_count("seed", self.seed, 0)
        check_choice("pattern", self.pattern, ("noise", "smooth"))

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Press]:
        height, width, channels = canvas
        side = (_SMOOTH, _SMOOTH) if self.pattern == "smooth" else (height, width)
        drawn = np.random.default_rng(self.seed).integers(0, 256, (*side, 3), dtype=np.uint8)
        picture = _resized(drawn, height, width)
        parameters: dict[str, str | int | float] = {"alpha": self.alpha, "pattern": self.pattern, "seed": self.seed}
        description = f"a {self.pattern} picture over the whole image, blended in at {self.alpha:g}"
        shown = Trigger("additive", description, parameters, picture[:, :, :channels], np.full((height, width), self.alpha))
        return shown, partial(_press, picture, self.alpha)


def _press(picture: np.ndarray, alpha: float, image: Image, _rng: np.random.Generator) -> Image:
    height, width, channels = image.shape
    over = _resized(picture, height, width)[:, :, :channels]
    return np.round((1 - alpha) * image + alpha * over).astype(np.uint8)


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.BICUBIC))
