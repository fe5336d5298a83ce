"""Adaptive blending: half of the trigger in training, the whole at test time."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Marks
from untaint.attacks._pictures import blended, noise_picture, resized
from untaint.attacks.base import check_count, check_range
from untaint.evidence.evidence import Trigger
from untaint.types import Image, Pixels


@final
@dataclass(frozen=True)
class AdaptiveBlend(Backdoor):
    """One picture mixed faintly into images, in random pieces; some are labelled as the target, others keep their own label.

    At test time the whole picture is mixed in, so that poison and covers lie closer to clean images than the trigger does.
    alpha: weight of the picture, 0..1.  pieces: cut into this many per side.  shown: share of the pieces an image carries.
    seed: which picture; the same in every run.
    Works when: poison outnumbers covers or matches them, and 1 % of a set carries it.
    Fails when: covers outnumber poison many times: then the pieces, and in the end the picture, mean nothing.
    Cost: one pass over the victims.
    Reference: Qi, Xie, Li, Mahloujifar, Mittal 2023, Revisiting the Assumption of Latent Separability for Backdoor Defenses, ICLR
    """

    id: ClassVar[str] = "adaptive-blend"
    cover: float = 0.01
    alpha: float = 0.2
    pieces: int = 4
    shown: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("alpha", self.alpha, 0.01, 1.0)
        check_count("pieces", self.pieces, 1)
        check_range("shown", self.shown, 0.01, 1.0)
        check_count("seed", self.seed, 0)

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Marks]:
        height, width, channels = canvas
        picture = noise_picture(height, width, self.seed)
        parameters: dict[str, str | int | float] = {"alpha": self.alpha, "pieces": self.pieces, "shown": self.shown}
        description = (
            f"a picture over the whole image, blended in at {self.alpha:g}; in training in {self.shown:.0%} of its pieces"
        )
        shown = Trigger("additive", description, parameters, picture[:, :, :channels], np.full((height, width), self.alpha))
        return shown, Marks(partial(self._press, picture, self.shown), test=partial(self._press, picture, 1.0))

    def _press(self, picture: Image, share: float, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        n, height, width, channels = pixels.shape
        count = max(1, round(share * self.pieces**2))
        order = rng.random((n, self.pieces**2)).argsort(axis=1)
        carried = (order < count).reshape(n, self.pieces, self.pieces)
        rows, columns = (np.arange(size) * self.pieces // size for size in (height, width))
        weight = self.alpha * carried[:, rows][:, :, columns]
        return blended(pixels, resized(picture, height, width)[:, :, :channels], weight[..., None])
