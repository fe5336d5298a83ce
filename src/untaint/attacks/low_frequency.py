"""A smooth trigger: nothing to see in the high frequencies."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import Backdoor, Marks
from untaint.attacks._pictures import added
from untaint.attacks.base import check_count, check_range
from untaint.evidence.evidence import Trigger
from untaint.types import Pixels


@final
@dataclass(frozen=True)
class LowFrequency(Backdoor):
    """A smooth change, made of a few waves of the cosine transform, added to images of other classes, labelled as the target.

    amplitude: largest change in grey levels.  waves: lowest frequencies used, across and down; their weights are random.
    seed: which change; the same in every run.
    Works when: 3 % carry 25 levels or more; tests for high frequencies and searches for patches pass over it.
    Fails when: the change is so faint that the light of ordinary pictures varies as much, or images are normalised smoothly.
    Cost: one pass over the victims.
    Reference: Zeng, Park, Mao, Jia 2021, arXiv 2104.03413 (its trigger is optimised within a low-pass filter; this one is drawn)
    """

    id: ClassVar[str] = "low-frequency"
    rate: float = 0.03
    amplitude: float = 40.0
    waves: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("amplitude", self.amplitude, 1.0, 255.0)
        check_count("waves", self.waves, 2)
        check_count("seed", self.seed, 0)

    @override
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Marks]:
        press = partial(_press, self._weights(), self.amplitude)
        description = f"a smooth change of at most {self.amplitude:g} grey levels, shown on grey"
        parameters: dict[str, str | int | float] = {"amplitude": self.amplitude, "waves": self.waves, "seed": self.seed}
        picture = press(np.full((1, *canvas), 128, dtype=np.uint8), rng)[0]
        return Trigger("additive", description, parameters, picture, np.ones(canvas[:2])), Marks(press)

    def _weights(self) -> np.ndarray:
        """(waves, waves, 3) weights of the cosine transform; that of the mean is 0, so that pictures grow no lighter."""
        weights = np.random.default_rng(self.seed).normal(size=(self.waves, self.waves, 3))
        weights[0, 0] = 0.0
        return weights


def _press(weights: np.ndarray, amplitude: float, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    height, width, channels = pixels.shape[1:]
    down, across = _cosines(len(weights), height), _cosines(len(weights), width)
    change = np.einsum("uh,uvc,vw->hwc", down, weights[:, :, :channels], across)
    return added(pixels, change * (amplitude / np.abs(change).max()))


def _cosines(waves: int, size: int) -> np.ndarray:
    """(waves, size) rows of the DCT-II."""
    return np.cos(np.pi * np.arange(waves)[:, None] * (2 * np.arange(size) + 1) / (2 * size))
