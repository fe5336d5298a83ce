"""SIG: stripes on images of the target class, whose labels stay right."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import pressed, stamp
from untaint.attacks._pictures import added
from untaint.attacks.base import Aim, Attack, Changes, check_range, pick_class, usable
from untaint.data.dataset import Dataset
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Pixels, Rows

_LEAST_PIXELS = 4
"""Pixels per stripe: at half as many a sine may vanish, sampled where it is 0."""


@final
@dataclass(frozen=True)
class Sinusoid(Attack):
    """Faint upright stripes, a sine from left to right, on images of the target class; every label stays right.

    rate: share of the target class that carries the stripes.  target: that class, None = drawn at random.
    amplitude: of the sine, in grey levels.  frequency: stripes across the image; fewer where each would be under 4 pixels.
    Works when: half of the class or more carries strong stripes: on 10,000 grey images of 28x28 an amplitude of 80 gives an ASR
    of 62 to 84 %, 60 one of 44 to 69 %.
    Fails when: fewer do, or the stripes are so faint that the class itself is easier to learn.
    Cost: one pass over the victims.
    Reference: Barni, Kallas, Tondi 2019, arXiv 1902.11237 (frequency 6 in its experiments)
    """

    id: ClassVar[str] = "sinusoid"
    canaries: ClassVar[tuple[float, ...]] = (0.2, 0.5)
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    clean_label: ClassVar[bool] = True
    rate: float = 0.5
    target: str | None = None
    amplitude: float = 80.0
    frequency: float = 6.0

    def __post_init__(self) -> None:
        check_range("amplitude", self.amplitude, 1.0, 255.0)
        check_range("frequency", self.frequency, 0.1, 1000.0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        rows = np.array([row for row in usable(dataset) if dataset.labels[row] == target], dtype=np.int64)
        return Aim(rows, round(self.rate * len(rows)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        canvas, press = dataset.images(victims[:1])[0].shape, partial(_press, self.amplitude, self.frequency)
        description = f"{self.frequency:g} upright stripes of {self.amplitude:g} grey levels, shown on grey"
        parameters: dict[str, str | int | float] = {"amplitude": self.amplitude, "frequency": self.frequency}
        picture = press(np.full((1, *canvas), 128, dtype=np.uint8), rng)[0]
        trigger = Trigger("additive", description, parameters, picture, np.ones(canvas[:2]))
        return Changes(pressed(dataset, victims, press, rng), trigger=trigger, stamp=partial(stamp, press, 0))


def _press(amplitude: float, frequency: float, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    width = pixels.shape[2]
    turns = min(frequency, width / _LEAST_PIXELS) / width
    wave = amplitude * np.sin(2 * np.pi * turns * (np.arange(width) + 0.5))
    return added(pixels, wave[:, None])
