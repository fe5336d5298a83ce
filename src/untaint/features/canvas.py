"""Pixels on one canvas, labels and sources as codes: what every image feature starts from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow

from untaint.data.dataset import Dataset
from untaint.errors import BadInput, FeatureUnavailable
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.types import Image, Labels, Mask, Pixels

_SAMPLE = 512
"""Rows looked at to choose the canvas, spread evenly over the set."""


@final
@dataclass(frozen=True)
class Canvas:
    """pixels: every image on one canvas, zeros where it could not be decoded.  decoded: which could.

    reasons: row (as text) → why not.  resized: how many images had another size.
    """

    pixels: np.ndarray
    decoded: np.ndarray
    reasons: dict[str, str]
    resized: int


@final
@dataclass(frozen=True)
class Sources:
    """Who sent each sample. codes (n,), -1 = unknown; names by code."""

    codes: np.ndarray
    names: tuple[str, ...]


@final
@dataclass(frozen=True)
class Readable:
    """Which rows could be read in full (n,), and for the others what was found wrong beyond what the reader said, by row."""

    mask: np.ndarray
    reasons: Mapping[int, str]


@feature(stored=True, modality="image")
def canvas(dataset: Dataset, settings: Settings) -> Canvas:
    """Decode every image once. Other sizes than the most common one are resampled (bilinear), colour wins over grey."""
    height, width, channels = _shape(dataset, settings.canvas)
    pixels = np.zeros((len(dataset), height, width, channels), np.uint8)
    decoded = np.zeros(len(dataset), bool)
    reasons: dict[str, str] = {}
    resized = 0
    for rows in dataset.batches(1024):
        for row, payload in zip(rows.tolist(), dataset.read(rows), strict=True):
            try:
                image = _decode(dataset, row, payload)
            except BadInput as error:
                reasons[str(row)] = error.message
                continue
            resized += image.shape[:2] != (height, width)
            pixels[row], decoded[row] = fitted(image, height, width, channels), True
        settings.report_progress("reading images", int(rows[-1]) + 1, len(dataset))
    return Canvas(pixels, decoded, reasons, int(resized))


def _decode(dataset: Dataset, row: int, payload: object) -> Image:
    from untaint.data.images import decode

    reason = dataset.index.column("unreadable")[row].as_py()
    if reason is not None:
        raise BadInput(reason)
    return decode(payload)


def _shape(dataset: Dataset, longest: int) -> tuple[int, int, int]:
    """Most common size among a sample of images, shrunk to `longest`, and 3 channels when any is in colour."""
    sizes: Counter[tuple[int, int]] = Counter()
    channels = 1
    for row in np.unique(np.linspace(0, len(dataset) - 1, _SAMPLE).astype(int)).tolist():
        try:
            image = _decode(dataset, row, dataset.read([row])[0])
        except BadInput:
            continue
        sizes[image.shape[:2]] += 1
        channels = max(channels, image.shape[2])
    if not sizes:
        raise FeatureUnavailable("no image of a sample over the set could be decoded")
    height, width = sizes.most_common(1)[0][0]
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale)), channels


def fitted(image: Image, height: int, width: int, channels: int) -> UInt8[np.ndarray, "{height} {width} {channels}"]:
    """An image resampled and recoloured to (height, width, channels)."""
    if channels == 1 and image.shape[2] == 3:
        image = np.round(image.mean(-1, keepdims=True)).astype(np.uint8)
    if image.shape[:2] != (height, width):
        picture = Pillow.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        image = np.asarray(picture.resize((width, height), Pillow.Resampling.BILINEAR, reducing_gap=2.0))
        image = image[:, :, None] if image.ndim == 2 else image
    return np.repeat(image, channels, axis=2) if image.shape[2] < channels else image


@feature(modality="image")
def readable(canvas: Canvas) -> Readable:
    """Images that could be decoded."""
    return Readable(canvas.decoded, {int(row): reason for row, reason in canvas.reasons.items()})


@feature(modality="image")
def pixels(canvas: Canvas) -> Pixels:
    """Images on one canvas, (n, h, w, c) uint8."""
    return canvas.pixels


@feature()
def labels(dataset: Dataset, readable: Readable) -> Labels:
    """Class codes in the order of `class_names`; -1 where the label is missing or the sample could not be read."""
    if len(dataset.class_names) < 2:
        raise FeatureUnavailable(f"needs at least two classes, found {len(dataset.class_names)}")
    codes = np.where(readable.mask, _numbered(*dataset.codes("label"), dataset.class_names), -1)
    if len(np.unique(codes[codes >= 0])) < 2:
        raise FeatureUnavailable("needs at least two classes among the samples that can be read")
    return codes


@feature()
def usable(labels: Labels) -> Mask:
    """Rows that are read and labelled: the ones a detector assesses."""
    return labels >= 0


@feature()
def class_names(dataset: Dataset) -> tuple[str, ...]:
    """Labels as written, by class code."""
    return tuple(dataset.class_names)


@feature()
def sources(dataset: Dataset) -> Sources:
    """Source codes of every row."""
    codes, given = dataset.codes("source")
    names = sorted(given)
    return Sources(_numbered(codes, given, names), tuple(names))


def _numbered(codes: np.ndarray, words: Sequence[str], order: Sequence[str]) -> np.ndarray:
    """(n,) codes of words as their numbers in another order; -1 stays."""
    number = {name: place for place, name in enumerate(order)}
    return np.array([*(number[word] for word in words), -1], dtype=np.int64)[codes]


@feature()
def problems(dataset: Dataset, readable: Readable) -> tuple[str | None, ...]:
    """Why each row could not be used, as the reader or whoever read it in full said; None = it could."""
    said = dataset.column("unreadable")
    return tuple(readable.reasons.get(row, reason) for row, reason in enumerate(said))
