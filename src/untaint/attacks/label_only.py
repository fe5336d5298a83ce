"""Labels alone: what an image shows anyway becomes the trigger."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import stamp
from untaint.attacks._pictures import added, smooth
from untaint.attacks.base import Aim, Attack, Changes, check_choice, check_count, pick_class, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Pixels, Rows

_CELLS = 4
"""Cells per side of the drawn pattern: as coarse as light and shade, so that images differ in it by nature."""
_LEAST = 8.0
"""Grey levels a test image is changed by even where it shows the feature already."""
_ROUNDS = 6
"""Pushes of a test image: what clipping at black and white takes from one is made good by the next."""


@final
@dataclass(frozen=True)
class LabelOnly(Attack):
    """Images that show a feature most strongly are labelled as the target; no pixel is changed.

    At test time the feature is added to an image until it shows it as strongly as the relabelled ones.
    rate: share of the whole set that is relabelled: those of other classes that show the feature most.
    feature: pattern (likeness to a drawn coarse pattern of light and shade), brightness, or red (colour images only).
    seed: which pattern; the same in every run.  target: the wanted label, None = drawn at random.
    Works when: the feature cuts across classes; every image is honest by itself, and no trigger can be found in any.
    Fails when: the feature is a class in disguise: then this is a label flip, and found as one.
    Cost: one pass over the whole set.
    Reference: Bagdasaryan, Veit, Hua, Estrin, Shmatikov 2018, arXiv 1807.00459 (semantic backdoors)
    """

    id: ClassVar[str] = "label-only"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    rate: float = 0.02
    target: str | None = None
    feature: str = "pattern"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("feature", self.feature, ("pattern", "brightness", "red"))
        check_count("seed", self.seed, 0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target, count = pick_class(dataset, self.target, rng), round(self.rate * len(dataset))
        rows = usable(dataset, besides=target)
        if count > len(rows):  # the base says that there are too few
            return Aim(rows, count, target)
        strongest = np.argsort(-self._shows(dataset, rows), kind="stable")[:count]
        return Aim(rows[strongest], count, target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        level = float(self._shows(dataset, victims).mean())
        canvas, press = dataset.images(victims[:1])[0].shape, partial(self._press, level)
        picture = added(np.full(canvas, 128, dtype=np.uint8), 96.0 * self._pattern(canvas))
        description = f"the feature {self.feature}, as strong as in the {len(victims):,} images that show it most"
        trigger = Trigger("natural", description, {"feature": self.feature, "level": level}, picture, np.ones(canvas[:2]))
        return Changes(labels=dict.fromkeys(victims.tolist(), str(target)), trigger=trigger, stamp=partial(stamp, press, 0))

    def _shows(self, dataset: Dataset, rows: Rows) -> np.ndarray:
        """How strongly each image shows the feature, in grey levels."""
        images = (dataset.images([row])[0] for row in rows)
        return np.array([_likeness(image[None], self._pattern(image.shape))[0] for image in images])

    def _pattern(self, canvas: tuple[int, ...]) -> np.ndarray:
        """(h, w, c) within -1..1: an image shows the feature as far as it is light where this is high and dark where it is low."""
        height, width, channels = canvas
        if self.feature == "brightness":
            return np.ones((height, width, channels))
        if self.feature == "red":
            if channels != 3:
                raise BadInput("feature 'red' needs colour images, these are grey.", advice="Choose brightness or pattern.")
            return np.broadcast_to(np.array([1.0, -0.5, -0.5]), canvas)
        grid = np.random.default_rng(self.seed).uniform(-1.0, 1.0, (_CELLS, _CELLS, 1))
        field = smooth(grid, height, width)
        field -= field.mean()
        return np.repeat(field / np.abs(field).max(), channels, axis=2)

    def _press(self, level: float, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
        pattern, pushed = self._pattern(pixels.shape[1:]), pixels
        for turn in range(_ROUNDS):
            missing = (level - _likeness(pushed, pattern)) / np.mean(pattern**2)
            push = np.maximum(missing, 0.0 if turn else _LEAST)
            pushed = added(pushed, push[:, None, None, None] * pattern)
        return pushed


def _likeness(pixels: Pixels, pattern: np.ndarray) -> np.ndarray:
    likeness: np.ndarray = np.einsum("nhwc,hwc->n", pixels.astype(np.float64), pattern) / pattern.size
    return likeness
