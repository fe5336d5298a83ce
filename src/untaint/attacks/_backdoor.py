"""What dirty-label backdoors on images share: put the trigger on samples of other classes and label them as the target."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias, final

import numpy as np
from typing_extensions import override

from untaint.attacks._redraw import redraw
from untaint.attacks.base import Aim, Attack, Changes, pick_class, successors, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Image, Modality, Pixels, Rows

Press: TypeAlias = Callable[[Image, np.random.Generator], Image]
"""A copy of one image with the trigger on it."""


@dataclass(frozen=True)
class Backdoor(Attack):
    """target: the label the trigger stands for, None = drawn at random.  all_to_all: every class becomes the next one instead."""

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    rate: float = 0.01
    target: str | None = None
    all_to_all: bool = False

    @abstractmethod
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Press]:
        """The trigger as it looks on images of shape (h, w, c), and how to put it on any image."""

    @final
    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        if self.all_to_all and self.target is not None:
            raise BadInput("all_to_all has no single target.", advice="Leave out the target or all_to_all.")
        drawn = pick_class(dataset, self.target, rng)
        target = None if self.all_to_all else drawn
        return Aim(usable(dataset, besides=target), round(self.rate * len(dataset)), target)

    @final
    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        names = dataset.labels
        wanted = successors(dataset.class_names) if target is None else dict.fromkeys(dataset.class_names, target)
        trigger, press = self.trigger(dataset.images(victims[:1])[0].shape, rng)
        seed, on_one = int(rng.integers(2**32)), partial(press_on, press, rng)
        payloads = {int(row): redraw(payload, on_one) for row, payload in zip(victims, dataset.read(victims), strict=True)}
        labels = {int(row): wanted[str(names[row])] for row in victims}
        return Changes(payloads, labels, trigger=trigger, stamp=partial(stamp, press, seed))


def press_on(press: Press, rng: np.random.Generator, image: Image) -> Image:
    """The trigger on one image, drawing from a shared generator."""
    return press(image, rng)


def stamp(press: Press, seed: int, pixels: Pixels) -> Pixels:
    """The trigger on every image; the same for the same images."""
    rng = np.random.default_rng(seed)
    return np.stack([press(image, rng) for image in pixels])
