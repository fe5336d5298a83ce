"""Augmentation that takes the force out of small changes: CutMix, JPEG's losses, bounded noise, erasing, shifts."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias, final, get_args

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics import compressed, occluded
from untaint.training.base import Batch, Defence, Hooks, Run, Slope, Stage, Trait, check_known, check_number, check_whole

Channels: TypeAlias = Literal["auto", "first", "last"]
_MOST = 0.5
"""Share of an image that a rectangle takes at most: beyond that it is the other image that shows."""
_BEST_QUALITY = 100


@final
@dataclass(frozen=True)
class Augment(Defence):
    """Each image is changed anew each time it is trained on, so that what hangs on a few exact values is not learned.

    cutmix: share of images that get a rectangle of another image of the batch, as large as half of them.  soft: targets become
    class probabilities, in proportion to the areas; else each image keeps its own label, which has the larger part.
    erase: share of images that get a rectangle of noise.  shift: pixels by which each is moved at most.  flip: left and right are
    exchanged in half of them: wrong for digits and letters.
    noise: greatest change of a value, drawn evenly, as a share of the range.  jpeg: lowest quality, 1..100, of the losses of JPEG,
    drawn from there to 100 for each image; 0 = none.
    low, high: range of the inputs; of images normalised otherwise, say theirs.  channels: where the axis of colours is.
    Stops: clean-label poison that hangs on small changes (JPEG's losses and noise: gradient matching, feature collision).
    Does not stop: patches and labels that contradict their image, however the image is changed; use `clip` and `trim` for those. One row
    of NaN or of extreme size, for which `harden` puts `guard` beside it.
    Needs: images (n, c, h, w), (n, h, w, c) or (n, h, w).
    Cost: JPEG's losses take longer than a small network's step; the rest is cheap. All of it wants more epochs.
    Reference: Yun et al. 2019, arXiv 1905.04899 (CutMix); DeVries, Taylor 2017, arXiv 1708.04552 (erasing); Liu, Yang, Mirzasoleiman
    2022, arXiv 2208.10224 (bounded noise); Borgnia et al. 2021, arXiv 2011.09527 (augmentation against poison)
    """

    id: ClassVar[str] = "augment"
    stage: ClassVar[Stage] = Stage.ALTER
    traits: ClassVar[frozenset[Trait]] = frozenset({"looks at the data"})
    cutmix: float = 0.5
    soft: bool = False
    erase: float = 0.0
    shift: int = 2
    flip: bool = False
    noise: float = 0.03
    jpeg: int = 30
    low: float = 0.0
    high: float = 1.0
    channels: Channels = "auto"

    @override
    def start(self, run: Run) -> Hooks:
        check_number("cutmix", self.cutmix, 0.0, 1.0)
        check_number("erase", self.erase, 0.0, 1.0)
        check_number("noise", self.noise, 0.0, 1.0)
        check_whole("shift", self.shift, 0)
        check_whole("jpeg", self.jpeg, 0)
        check_number("jpeg", self.jpeg, 0, _BEST_QUALITY)
        check_known("channels", self.channels, get_args(Channels))
        check_number("low", self.low, -float("inf"))
        if not np.isfinite(self.low) or not self.low < self.high < float("inf"):
            raise BadInput(f"low={self.low!r} and high={self.high!r} are no range.", advice="Say the range of the inputs.")
        if self.soft and run.classes is None:
            message = "soft targets need the number of classes, and this loop does not say it."
            raise BadInput(message, advice="Leave soft=False.")
        kept = _Kept(self, run)
        return Hooks(alter=kept.alter, facts=kept.facts)


class _Kept:
    """One run. Chance depends on seed, epoch and step alone, so that there is nothing to write down but counts."""

    def __init__(self, chosen: Augment, run: Run) -> None:
        self._chosen, self._run = chosen, run
        self._rows, self._left = 0, 0

    def alter(self, batch: Batch, _slope: Slope) -> Batch:
        given = batch.inputs[0]
        first = _channels_first(given.shape, self._chosen.channels)
        flat = given.reshape(len(given), -1)
        sound = np.isfinite(flat).all(1) & (np.abs(np.where(np.isfinite(flat), flat, 0)).max(1, initial=0) < _HUGE)
        self._rows += len(batch)
        self._left += int((~sound).sum())
        if not sound.any():
            return batch
        rows = np.flatnonzero(sound)
        rng = self._run.rng(f"augment {batch.epoch} {batch.step}")
        images = (_stack(given[rows], first=first) - self._chosen.low) / (self._chosen.high - self._chosen.low)
        images = self._changed(images.astype(np.float32), rng)
        images, partners, areas = self._mixed(images, rng)
        inputs = given.copy()
        inputs[rows] = _back(images * (self._chosen.high - self._chosen.low) + self._chosen.low, given.shape, first=first)
        mixed = replace(batch, inputs=(inputs, *batch.inputs[1:]))
        if not self._chosen.soft or batch.targets is None:
            return mixed
        return replace(mixed, targets=_shared(batch.targets, int(self._run.classes or 0), rows, (rows[partners], areas)))

    def _changed(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Everything that is done to one image without another."""
        n, height, width, channels = images.shape
        chosen = self._chosen
        if chosen.shift:
            images = occluded.shifted(images, rng.integers(-chosen.shift, chosen.shift + 1, (n, 2)))
        if chosen.flip:
            images = occluded.mirrored(images, rng.random((n,)) < 0.5)
        if chosen.noise:
            images = images + rng.uniform(-chosen.noise, chosen.noise, images.shape).astype(np.float32)
        if chosen.jpeg:
            images = compressed.compressed(np.clip(images, 0, 1), rng.integers(chosen.jpeg, _BEST_QUALITY + 1, (n,)))
        if chosen.erase:
            areas = np.where(rng.random((n,)) < chosen.erase, rng.uniform(0, _MOST, (n,)), 0.0)
            hidden = occluded.rectangles((height, width), areas, rng.random((n, 2)))
            images = np.where(hidden[..., None], rng.random((n, height, width, channels), np.float32), images)
        return np.clip(images, 0, 1)

    def _mixed(self, images: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images with rectangles of others, whose they are, and which share of each is another's."""
        n, height, width, _ = images.shape
        partners = rng.permutation(n)
        areas = np.where(rng.random((n,)) < self._chosen.cutmix, rng.uniform(0, _MOST, (n,)), 0.0)
        shown = occluded.rectangles((height, width), areas, rng.random((n, 2)))
        return np.where(shown[..., None], images[partners], images), partners, shown.mean((1, 2))

    def facts(self) -> dict[str, object]:
        return {"rows": self._rows, "rows_left_as_they_are": self._left}


_HUGE = 1e6
"""Values beyond this are no image, and the arithmetic of ranges and waves could overflow: such a row stays as it is, and is no partner."""


def _channels_first(shape: tuple[int, ...], channels: Channels) -> bool:
    """Whether the axis of colours stands before height and width; raises BadInput where there are no images."""
    if len(shape) == 3:
        return False
    if len(shape) != 4:
        raise BadInput(f"augmentation needs a batch of images, this one is {shape}.", advice="Leave augment out.")
    if channels != "auto":
        return channels == "first"
    few = shape[1] <= 4, shape[3] <= 4
    if few[0] == few[1]:
        raise BadInput(f"which axis of {shape} is colour?", advice="Say channels='first' or channels='last'.")
    return few[0]


def _stack(images: np.ndarray, *, first: bool) -> np.ndarray:
    """As (n, h, w, c)."""
    if images.ndim == 3:
        return images[..., None].astype(np.float64)
    return (images.transpose(0, 2, 3, 1) if first else images).astype(np.float64)


def _back(images: np.ndarray, shape: tuple[int, ...], *, first: bool) -> np.ndarray:
    turned = images.transpose(0, 3, 1, 2) if first else images
    return turned.reshape(len(images), *shape[1:])


def _shared(targets: np.ndarray, classes: int, rows: np.ndarray, mixed: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Class probabilities (n, k) of targets mixed with those of partners, by area; a code that is no class has none.

    A row that is mixed with a row without a class keeps its own.
    """
    shares = targets.astype(np.float32) if targets.ndim == 2 else _one_hot(targets, classes)
    partners, areas = mixed
    part = np.where(shares[partners].sum(1) > 0, areas, 0.0).astype(np.float32)[:, None]
    found = shares.copy()
    found[rows] = (1 - part) * shares[rows] + part * shares[partners]
    return found


def _one_hot(codes: np.ndarray, classes: int) -> np.ndarray:
    return (codes[:, None] == np.arange(classes)).astype(np.float32)
