"""What backdoors on images share: put the trigger on samples of other classes and label them as the target."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias, final

import numpy as np
from typing_extensions import override

from untaint.attacks._redraw import recoded
from untaint.attacks.base import Aim, Attack, Changes, check_range, pick_class, successors, usable
from untaint.data.dataset import Dataset, Payload
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Pixels, Rows

Press: TypeAlias = Callable[[Pixels, np.random.Generator], Pixels]
"""Copies of images of one size with the trigger on them."""
_BATCH = 1024
"""Images pressed at once: arrays of a few hundred megabytes at most."""


@final
@dataclass(frozen=True)
class Marks:
    """How the trigger is put on: poison, covers (None = like poison) and test images (None = like poison)."""

    poison: Press
    cover: Press | None = None
    test: Press | None = None


@dataclass(frozen=True)
class Backdoor(Attack):
    """target: the label the trigger stands for, None = drawn at random.  all_to_all: every class becomes the next one instead.

    source: the one class whose images are poisoned, so that the trigger works on it alone; None = all but the target.
    cover: share of the whole set that carries the trigger with its own, right label: images of classes that are neither
    source nor target, so that the trigger alone says nothing (Tang, Wang, Tang, Zhang 2021, arXiv 1908.02203).
    """

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    rate: float = 0.01
    target: str | None = None
    all_to_all: bool = False
    source: str | None = None
    cover: float = 0.0

    @abstractmethod
    def trigger(self, canvas: tuple[int, int, int], rng: np.random.Generator) -> tuple[Trigger, Marks]:
        """The trigger as it looks on images of shape (h, w, c), and how to put it on any image."""

    @final
    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        check_range("cover", self.cover, 0.0, 1.0)
        if self.all_to_all and (self.target, self.source) != (None, None):
            raise BadInput("all_to_all has no single target or source.", advice="Leave out target and source, or all_to_all.")
        drawn = pick_class(dataset, self.target, rng, without=self.source)
        target, rows = None if self.all_to_all else drawn, usable(dataset, besides=None if self.all_to_all else drawn)
        if self.source is not None:
            source = pick_class(dataset, self.source, rng, without=target)
            rows = np.array([row for row in rows if dataset.labels[row] == source], dtype=np.int64)
        return Aim(rows, round(self.rate * len(dataset)), target, self.source)

    @final
    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        names = dataset.labels
        wanted = successors(dataset.class_names) if target is None else dict.fromkeys(dataset.class_names, target)
        trigger, marks = self.trigger(dataset.images(victims[:1])[0].shape, rng)
        seed = int(rng.integers(2**32))
        payloads = pressed(dataset, victims, marks.poison, rng)
        covers = self._covers(dataset, victims, target, rng)
        payloads |= pressed(dataset, covers, marks.cover or marks.poison, rng)
        labels = {int(row): wanted[str(names[row])] for row in victims}
        test = partial(stamp, marks.test or marks.poison, seed)
        return Changes(payloads, labels, covers=covers.tolist(), trigger=trigger, stamp=test)

    def _covers(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Rows:
        if self.cover == 0:
            return np.empty(0, dtype=np.int64)
        rows = np.setdiff1d(usable(dataset, besides=target), victims)
        rows = np.array([row for row in rows if self.source is None or dataset.labels[row] != self.source], dtype=np.int64)
        count = round(self.cover * len(dataset))
        if not 0 < count <= len(rows):
            message = f"cover={self.cover:g} asks for {count:,} covers, this set has {len(rows):,} samples left for them."
            raise BadInput(message, advice="Ask for at least one and for no more than that.")
        return np.sort(rng.choice(rows, count, replace=False))


def pressed(dataset: Dataset, rows: Rows, press: Press, rng: np.random.Generator) -> dict[int, Payload]:
    """Payloads of some rows with the trigger on them, by row; images of one size are pressed together."""
    payloads, images = dataset.read(rows), dataset.images(rows)
    found: dict[int, Payload] = {}
    for shape in dict.fromkeys(image.shape for image in images):
        alike = [i for i, image in enumerate(images) if image.shape == shape]
        after = _in_batches(press, rng, np.stack([images[i] for i in alike]))
        found |= {int(rows[i]): recoded(payloads[i], image) for i, image in zip(alike, after, strict=True)}
    return found


def stamp(press: Press, seed: int, pixels: Pixels) -> Pixels:
    """The trigger on every image; the same for the same images."""
    return _in_batches(press, np.random.default_rng(seed), pixels)


def _in_batches(press: Press, rng: np.random.Generator, pixels: Pixels) -> Pixels:
    parts = [press(pixels[start : start + _BATCH], rng) for start in range(0, len(pixels), _BATCH)]
    return np.concatenate(parts) if parts else pixels.copy()
