"""The victim: a small network trained on what it is given, and how well an attack works on it."""

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from untaint.attacks.base import PixelStamp, successors, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.nets.convnet import ConvNet, ConvNetSpec
from untaint.nets.fit import FitPlan, fit, logits
from untaint.types import Labels, Mask, Pixels, Rows


@final
@dataclass(frozen=True)
class Outcome:
    """What a victim learned: accuracy on clean test images, and the attack success rate; NaN = there is no trigger to try."""

    clean_accuracy: float
    asr: float


class DetectionRates(NamedTuple):
    """Share of the poisoned rows flagged, and of the clean rows flagged; NaN where there are none of them."""

    tpr: float
    fpr: float


def measure(
    train: Dataset, test: Dataset, stamp: PixelStamp | None, target: str | None, plan: FitPlan, *, source: str | None = None
) -> Outcome:
    """Train a ConvNet on one set and try it on another; rows that are unlabelled or unreadable are left out of both.

    stamp, target: as an attack's `Poisoned` says; a stamp without a target means that every class becomes the next one.
    source: the one class the attack is meant to work on, None = all.
    The ASR counts test images that are not of the wanted class already.  Raises BadInput when images differ in size, or the
    source or the target is no class.
    """
    names = [*train.class_names, *(name for name in test.class_names if name not in train.class_names)]
    pixels, truth = _labelled(test, names)
    net = _trained(train, names, pixels.shape[1:], plan)
    accuracy = float(np.mean(_predict(net, pixels) == truth))
    if stamp is None:
        return Outcome(accuracy, float("nan"))
    wanted = _wanted(truth, target, names)
    others = np.flatnonzero((wanted != truth) & _of_class(truth, source, names))
    return Outcome(accuracy, float(np.mean(_predict(net, stamp(pixels[others])) == wanted[others])))


def detection_rates(mask: Mask, flagged: Mask, covers: Mask | None = None) -> DetectionRates:
    """TPR and FPR of a selection of rows against the truth; covers, if there are any, count as neither poison nor clean."""
    clean = ~mask if covers is None else ~(mask | covers)
    found, alarms = flagged[mask], flagged[clean]
    return DetectionRates(*(float(part.mean()) if part.size else float("nan") for part in (found, alarms)))


def stacked(dataset: Dataset, rows: Rows) -> Pixels:
    """The images of some rows as one array. Raises BadInput when they differ in size or colour, or there are none."""
    images = dataset.images(rows)
    shapes = sorted({image.shape for image in images})
    if len(shapes) != 1:
        message = (
            f"a victim needs images of one size, these have {len(shapes)}: {', '.join(map(str, shapes[:3])) or 'no images'}."
        )
        raise BadInput(message, advice="Bring them to one size first.")
    return np.stack(images)


def _trained(train: Dataset, names: list[str], shape: tuple[int, ...], plan: FitPlan) -> ConvNet:
    pixels, codes = _labelled(train, names)
    if pixels.shape[1:] != shape:
        message = f"training images are {pixels.shape[1:]}, test images {shape} (height, width, channels)."
        raise BadInput(message, advice="Test on images like those the victim is trained on.")
    height, width, channels = shape
    return fit(ConvNetSpec(height, width, channels, len(names)), pixels, codes, np.arange(len(codes)), plan).net


def _wanted(truth: Labels, target: str | None, names: list[str]) -> Labels:
    if target is None:
        after = successors(names)
        return _codes([after[names[code]] for code in truth], names)
    return np.full(len(truth), _code(target, names))


def _of_class(truth: Labels, source: str | None, names: list[str]) -> Mask:
    return np.full(len(truth), fill_value=True) if source is None else truth == _code(source, names)


def _code(name: str, names: list[str]) -> int:
    if name not in names:
        raise BadInput(f"{name!r} is not a class.", advice=f"Choose one of {', '.join(map(repr, names))}.")
    return names.index(name)


def _predict(net: ConvNet, pixels: Pixels) -> Labels:
    codes: Labels = logits(net, pixels, np.arange(len(pixels))).argmax(axis=1)
    return codes


def _labelled(dataset: Dataset, names: list[str]) -> tuple[Pixels, Labels]:
    rows = usable(dataset)
    return stacked(dataset, rows), _codes([str(dataset.labels[row]) for row in rows], names)


def _codes(labels: list[str], names: list[str]) -> Labels:
    code = {name: i for i, name in enumerate(names)}
    return np.array([code[label] for label in labels], dtype=np.int64)
