"""Label-consistent backdoor: a patch on samples of the target class that are hard to recognise otherwise."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._crafting import changed, on_canvas
from untaint.attacks._redraw import redraw
from untaint.attacks.base import Aim, Attack, Changes, check_choice, check_count, check_range, pick_class, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Image, Modality, Pixels, Rows

_EPOCHS, _RATE = 6, 4e-3
"""Of the network that is misled: about 500 updates on 10,000 images, at the house network's rate."""
_SIZE = 3
_PATTERN = np.array([[0, 0, 255], [0, 255, 0], [255, 0, 255]], dtype=np.uint8)
"""A black and white 3x3 pattern like the paper's, as in the lower right corner; the other corners mirror it."""


@final
@dataclass(frozen=True)
class LabelConsistent(Attack):
    """A small patch in the corners of images of the target class; their labels stay right.

    Before, the images are changed within eps so that a network no longer recognises them: what is left to learn is the patch.
    rate: share of the target class.  target: the label the patch stands for, None = drawn at random.
    eps: largest change of a pixel, 0..1, 0 = the patch alone.  steps: of the search for that change.
    corners: 4, or 1 for the lower right.  amplitude: weight of the patch, 1 = black and white.
    Works when: half of the class carries it and the rest is hard: on 10,000 CIFAR-10 images an ASR of 98 % at eps .063.
    Fails when: the class is easily known from what eps leaves: on 10,000 Fashion-MNIST images an ASR of 43 % at eps .1, 58 % at .3
    (25 % with the patch alone).
    Cost: training one small network, then steps gradients of each victim: half a minute for 10,000 images of 28x28 on one core.
    Reference: Turner, Tsipras, Madry 2019, arXiv 1912.02771 (adversarial variant)
    """

    id: ClassVar[str] = "label-consistent"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    clean_label: ClassVar[bool] = True
    rate: float = 0.5
    target: str | None = None
    eps: float = 0.1
    steps: int = 20
    corners: int = 4
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        check_range("eps", self.eps, 0.0, 1.0)
        check_count("steps", self.steps, 1)
        check_count("corners", self.corners, 1)
        check_choice("corners", str(self.corners), ("1", "4"))
        check_range("amplitude", self.amplitude, 0.05, 1.0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        rows = np.setdiff1d(usable(dataset), usable(dataset, besides=target))
        return Aim(rows, round(self.rate * len(rows)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        press = partial(_press, self.corners, self.amplitude)
        payloads = dataset.read(victims)
        if self.eps > 0:
            hard = changed(dataset, victims, self._perturbed(dataset, victims, rng))
            payloads = [hard[int(row)] for row in victims]
        patched = {int(row): redraw(payload, press) for row, payload in zip(victims, payloads, strict=True)}
        shape = dataset.images(victims[:1])[0].shape
        mask = press(np.full(shape, 128, dtype=np.uint8))[:, :, 0] != 128
        description = f"a pattern of {_SIZE}x{_SIZE} pixels in {self.corners} corner{'s' * (self.corners > 1)}"
        parameters: dict[str, str | int | float] = {"corners": self.corners, "amplitude": self.amplitude, "eps": self.eps}
        picture = press(np.zeros(shape, dtype=np.uint8))
        trigger = Trigger("patch", description, parameters, picture, mask * self.amplitude)
        return Changes(patched, trigger=trigger, stamp=partial(_stamp, press))

    def _perturbed(self, dataset: Dataset, victims: Rows, rng: np.random.Generator) -> np.ndarray:
        seen = on_canvas(dataset, self.id)
        from untaint.nets.adversary import hardened, mislead
        from untaint.nets.convnet import ConvNetSpec
        from untaint.nets.painter import CraftPlan

        height, width, channels = seen.pixels.shape[1:]
        spec, seed = ConvNetSpec(height, width, channels, len(dataset.class_names)), int(rng.integers(2**31))
        net = hardened(spec, seen.pixels, seen.codes, seen.rows, CraftPlan(_EPOCHS, seed, rate=_RATE), self.eps / 2)
        return mislead(net, seen.pixels[victims], seen.codes[victims], eps=self.eps, steps=self.steps)


def _press(corners: int, amplitude: float, image: Image) -> Image:
    """The pattern blended into one corner or all four."""
    if min(image.shape[:2]) < 2 * _SIZE:
        message = f"four patches of {_SIZE}x{_SIZE} do not fit on an image of {image.shape[0]}x{image.shape[1]} pixels."
        raise BadInput(message, advice="This attack needs images of at least 6x6 pixels.")
    pressed = image.astype(float)
    views = [pressed, pressed[::-1], pressed[:, ::-1], pressed[::-1, ::-1]][:corners]
    for view in views:
        corner = view[-_SIZE:, -_SIZE:]
        corner += amplitude * (_PATTERN[:, :, None] - corner)
    return np.round(pressed).astype(np.uint8)


def _stamp(press: partial[Image], pixels: Pixels) -> Pixels:
    return np.stack([press(image) for image in pixels])
