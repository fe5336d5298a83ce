"""Several backdoors in one set."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._backdoor import pressed, stamp
from untaint.attacks._pictures import area, checked_place, patched
from untaint.attacks.base import Aim, Attack, Changes, check_count, pick_class, usable
from untaint.data.dataset import Dataset, Payload
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Image, Modality, Pixels, Rows


@final
@dataclass(frozen=True)
class MultiTrigger(Attack):
    """Several small patches of random colours, each in a corner, each for a target label of its own.

    rate: share of the whole set that is poisoned, all patches together.  target: label of the first patch, None = drawn at
    random; the others are drawn.  triggers: how many patches.  size: edge of each in pixels.
    Works when: each patch alone is on enough images: see one patch.  A search that stops at the first find leaves the others.
    Fails when: the rate is split so far that no patch is learned.
    Cost: one pass over the victims.
    Reference: Xue, He, Wang, Liu 2020, One-to-N & N-to-One: Two Advanced Backdoor Attacks, doi 10.1109/TDSC.2020.3028448
    (there one trigger in several strengths)
    """

    id: ClassVar[str] = "multi-trigger"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    rate: float = 0.03
    target: str | None = None
    triggers: int = 3
    size: int = 3

    def __post_init__(self) -> None:
        check_count("triggers", self.triggers, 2)
        check_count("size", self.size, 2)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        if self.triggers > len(dataset.class_names):
            message = f"{self.triggers} triggers need as many classes, this set has {len(dataset.class_names)}."
            raise BadInput(message, advice="Lower triggers.")
        return Aim(usable(dataset), round(self.rate * len(dataset)), pick_class(dataset, self.target, rng))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        others = [name for name in dataset.class_names if name != target]
        targets = [str(target), *rng.choice(others, self.triggers - 1, replace=False).tolist()]
        patches = [rng.integers(0, 256, (self.size, self.size, 3), dtype=np.uint8) for _ in targets]
        presses = [partial(_press, patch, i % 4) for i, patch in enumerate(patches)]
        wanted = [_next_other(targets, i, dataset.labels[row]) for i, row in enumerate(victims)]
        payloads: dict[int, Payload] = {}
        labels: dict[int, str] = {}
        for name, press in zip(targets, presses, strict=True):
            rows = victims[[label == name for label in wanted]]
            payloads |= pressed(dataset, rows, press, rng)
            labels |= dict.fromkeys(rows.tolist(), name)
        first, *more = (partial(stamp, press, 0) for press in presses)
        shown = self._shown(dataset.images(victims[:1])[0].shape, targets, patches)
        return Changes(payloads, labels, trigger=shown, stamp=first, more=dict(zip(targets[1:], more, strict=True)))

    def _shown(self, canvas: tuple[int, ...], targets: list[str], patches: list[Image]) -> Trigger:
        picture, mask = np.zeros((1, *canvas), dtype=np.uint8), np.zeros(canvas[:2])
        for i, patch in enumerate(patches):
            place = _corner(canvas, self.size, i % 4)
            picture, mask = patched(picture, patch, *place), np.maximum(mask, area(canvas, self.size, *place))
        description = f"patches of {self.size}x{self.size} pixels in the corners, one each for {', '.join(map(repr, targets))}"
        return Trigger("patch", description, {"triggers": self.triggers, "size": self.size}, picture[0], mask)


def _next_other(targets: list[str], turn: int, label: str | None) -> str:
    """The target whose turn it is, or the one after it where the image is of that class already."""
    name = targets[turn % len(targets)]
    return targets[(turn + 1) % len(targets)] if name == label else name


def _press(patch: Image, corner: int, pixels: Pixels, _rng: np.random.Generator) -> Pixels:
    return patched(pixels, patch, *_corner(pixels.shape[1:], len(patch), corner))


def _corner(shape: tuple[int, ...], size: int, corner: int) -> tuple[int, int]:
    """Upper left pixel of a patch in corner 0 (bottom right), 1 (top left), 2 (top right), 3 (bottom left)."""
    bottom, right = shape[0] - size, shape[1] - size
    row, column = ((bottom, right), (0, 0), (0, right), (bottom, 0))[corner]
    return checked_place(shape, size, row, column)
