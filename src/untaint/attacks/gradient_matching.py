"""Gradient matching (Witches' Brew): training on the poison turns one image."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._crafting import Canvas, changed, on_canvas
from untaint.attacks.base import Aim, Attack, Changes, check_count, check_range, pick_class, usable
from untaint.data.dataset import Dataset
from untaint.data.images import decode
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.features.canvas import fitted
from untaint.types import Image, Modality, Pixels, Rows


@final
@dataclass(frozen=True)
class GradientMatching(Attack):
    """Images of the target class, changed within eps, their labels right: a network trained on them misreads one image.

    The changes give training the gradient that reading that image as the target would give. No trigger is put on an input:
    `stamp` replaces every test image by the image aimed at, so that the ASR is 1 when it is read as the target, else 0.
    target: the class the image shall be read as, which the poison is drawn from; None = drawn at random.
    image: file with the image, best one that the set does not hold; None = a sample of another class, mirrored (harder: the
    set holds the original).
    eps: largest change of a pixel, 0..1.  steps, restarts: of the search; the best of all searches is taken.
    Works when: the victim is not sure of the image anyway: 200 of 10,000 CIFAR-10 images turned 1 of 4 images drawn at random.
    Fails when: the image is easy: 100 of 10,000 Fashion-MNIST images turned none of 3 images at eps .1.
    Cost: training one small network, then steps x restarts gradients of gradients: 40 s for 10,000 images of 32x32 on one core.
    Reference: Geiping, Fowl, Huang, Czaja, Taylor, Moeller, Goldstein 2021, arXiv 2009.02276 (one network, victims at random)
    """

    id: ClassVar[str] = "gradient-matching"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    clean_label: ClassVar[bool] = True
    rate: float = 0.01
    target: str | None = None
    image: str | None = None
    eps: float = 0.063
    steps: int = 60
    restarts: int = 2

    def __post_init__(self) -> None:
        check_range("eps", self.eps, 0.01, 1.0)
        check_count("steps", self.steps, 1)
        check_count("restarts", self.restarts, 1)
        if self.image is not None and not isinstance(self.image, str):
            raise BadInput(f"image is the name of a file, not {self.image!r}.")

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        rows = np.setdiff1d(usable(dataset), usable(dataset, besides=target))
        return Aim(rows, round(self.rate * len(dataset)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        seen = on_canvas(dataset, self.id)
        goal, named = self._goal(dataset, seen, target, rng)
        changes, cosine = self._search(dataset, seen, victims, (goal, dataset.class_names.index(str(target))), rng)
        parameters: dict[str, str | int | float] = {"image": named, "cosine": cosine, "eps": self.eps}
        trigger = Trigger("image", f"one image to be misread: {named}", parameters, goal)
        return Changes(changed(dataset, victims, changes), trigger=trigger, stamp=partial(_stamp, goal))

    def _goal(self, dataset: Dataset, seen: Canvas, target: str | None, rng: np.random.Generator) -> tuple[Image, str]:
        if self.image is None:
            row = int(rng.choice(usable(dataset, besides=target)))
            return seen.pixels[row][:, ::-1].copy(), f"row {row}, mirrored"
        try:
            found = decode(Path(self.image).read_bytes())
        except OSError as error:
            raise BadInput(f"cannot read the image {self.image}: {error.strerror}.") from error
        height, width, channels = seen.pixels.shape[1:]
        return fitted(found, height, width, channels), self.image

    def _search(
        self, dataset: Dataset, seen: Canvas, victims: Rows, goal: tuple[Image, int], rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        from untaint.nets.convnet import ConvNetSpec
        from untaint.nets.fit import FitPlan, fit
        from untaint.nets.matching import SearchPlan, match_gradient

        height, width, channels = seen.pixels.shape[1:]
        seed = int(rng.integers(2**31))
        net = ConvNetSpec(height, width, channels, len(dataset.class_names))
        surrogate = fit(net, seen.pixels, seen.codes, seen.rows, FitPlan(seed=seed)).net
        plan = SearchPlan(self.eps, self.steps, self.restarts, seed)
        return match_gradient(surrogate, seen.pixels[victims], seen.codes[victims], goal, plan)


def _stamp(goal: Image, pixels: Pixels) -> Pixels:
    """The image aimed at in place of every image, in their size."""
    height, width, channels = pixels.shape[1:]
    return np.repeat(fitted(goal, height, width, channels)[None], len(pixels), axis=0)
