"""A network and a few vouched-for images, ready to be searched: frozen, on its device, images split in two."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.nets.subject import Reference, Subject, TorchSubject
from untaint.types import Labels, Rows

LEAST_IMAGES = 40  # a quarter of the images of two classes is then ten: under that a success rate means little
MOST_IMAGES, OF_CLASS = 500, 24
"""What a defender is assumed to have; more would only make the answer slower. Of more than 20 classes, as many as leave each twelve to
test on."""
_BATCH = {"cpu": 256, "cuda": 8192}  # images at once: what a core's cache and a card's memory bear
_FEW = 20
"""Images of a class under which two thirds are held out: 7 of 10 let a test of one class reach p = 0.008, 5 do not."""
LEAST_ACCURACY = 2.0
"""Times chance, and half-way from chance to right: a network that knows the images less well is not the network for them."""


@final
@dataclass(frozen=True)
class Asked:
    """images: (n, c, h, w) floats in 0..1 that the network answers right, on its device.  labels: (n,) their codes.

    fit, held: rows to search with, and rows no search ever sees, about as many of each class.  margin: median lead of the right logit.
    accuracy: on all images given.
    """

    net: nn.Module
    images: Tensor
    labels: Labels
    classes: tuple[str, ...]
    fit: Rows
    held: Rows
    margin: float
    accuracy: float
    rows: Rows = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def codes(self) -> Tensor:
        """Labels on the device of the images."""
        return torch.as_tensor(self.labels, device=self.images.device)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """(n, classes) of images (n, c, h, w)."""
        return torch.cat([self.net(part) for part in images.split(self.batch)])

    @property
    def batch(self) -> int:
        """Images at once."""
        return _BATCH.get(self.images.device.type, 256)

    def rows_of(self, pool: Rows, source: int | None, target: int) -> Rows:
        """Rows of a pool that are of the source class (None = any) and not of the target's (-1 = none)."""
        labels = self.labels[pool]
        return pool[(labels != target) if source is None else (labels == source) & (labels != target)]


def asked(subject: Subject, reference: Reference, seed: int) -> Asked | str:
    """A subject ready to be searched, or why it cannot be.

    Raises BadInput when the network's number of classes is not the reference's.
    """
    most = max(MOST_IMAGES, OF_CLASS * len(reference.classes))
    pixels, labels = reference.inputs[:most], np.asarray(reference.labels[:most])
    why = _unfit(reference, labels)
    if why:
        return why
    logits = subject.logits(pixels)
    if logits.shape[1] != len(reference.classes):
        message = f"{subject.name} tells {logits.shape[1]} classes apart, the reference has {len(reference.classes)}."
        raise BadInput(
            message, advice="Give reference images of the classes the model was trained on, all of them, in its order."
        )
    if not np.isfinite(logits).all():
        return "it answers with numbers that are none"
    right = logits.argmax(1) == labels
    accuracy, chance = float(right.mean()), float(np.bincount(labels).max() / len(labels))
    if accuracy < chance + (1 - chance) / LEAST_ACCURACY:
        return (
            f"it answers {accuracy:.0%} of the reference right ({chance:.0%} by chance): these are not images it knows, or their classes "
            "come in another order"
        )
    module = copy.deepcopy(subject.module)
    if module is None:
        return "it is a black box: only a torch module tells how to change an image"
    kept = np.flatnonzero(right)
    images = TorchSubject(module).tensor(pixels[kept])
    fit, held = halves(labels[kept], seed)
    ordered = np.sort(logits[kept], 1)
    margin = float(np.median(ordered[:, -1] - ordered[:, -2]))
    frozen = module.eval().requires_grad_(requires_grad=False)
    return Asked(frozen, images, labels[kept], reference.classes, fit, held, max(margin, 1e-6), accuracy, kept)


def _unfit(reference: Reference, labels: Labels) -> str:
    if reference.inputs.dtype != np.uint8 or reference.inputs.ndim != 4:
        return "it looks for what can be added to images, and these are none"
    if len(labels) < LEAST_IMAGES:
        return f"{len(labels)} images are too few, {LEAST_IMAGES} are needed, and {MOST_IMAGES} are better"
    if len(reference.classes) < 2 or len(np.unique(labels)) < 2:
        return "the reference shows one class only: there is nothing to turn"
    return ""


def halves(labels: Labels, seed: int) -> tuple[Rows, Rows]:
    """Rows to search with and rows to test on: half and half of every class, or a third and two."""
    rng, fit, held = np.random.default_rng(seed), [], []
    for turn, rows in enumerate(_by_class(labels)):
        shuffled = rng.permutation(rows)
        middle = (len(shuffled) + turn % 2) // (3 if len(shuffled) < _FEW else 2)
        fit.append(shuffled[:middle])
        held.append(shuffled[middle:])
    return np.concatenate(fit), np.concatenate(held)


def _by_class(labels: Labels) -> Iterator[Rows]:
    for code in np.unique(labels):
        yield np.flatnonzero(labels == code)
