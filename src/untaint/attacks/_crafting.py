"""What attacks share that craft poison with a network: images on one canvas in, a change for each of them out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TypeAlias, final

import numpy as np
from PIL import Image as Pillow

from untaint.attacks._redraw import redraw
from untaint.data.dataset import Dataset, Payload
from untaint.errors import MissingExtra
from untaint.features.canvas import canvas, fitted, labels, readable
from untaint.features.settings import Settings
from untaint.types import Image, Labels, Pixels, Rows

Craft: TypeAlias = Callable[[Pixels], np.ndarray]
"""What to add to each image of the canvas' size, in grey levels: same shape, any sign."""


@final
@dataclass(frozen=True)
class Canvas:
    """pixels: every image on one canvas.  codes: class codes, -1 = unlabelled or unreadable; both by row of the set."""

    pixels: Pixels
    codes: Labels

    @property
    def rows(self) -> Rows:
        """Rows a network can be trained on."""
        return np.flatnonzero(self.codes >= 0)


def on_canvas(dataset: Dataset, attack: str) -> Canvas:
    """The whole set as a network sees it. Raises MissingExtra when there is no torch to craft with."""
    if find_spec("torch") is None:
        raise MissingExtra(attack, "torch")
    found = canvas(dataset, Settings())
    return Canvas(found.pixels, labels(dataset, readable(found)))


def changed(dataset: Dataset, rows: Rows, changes: np.ndarray) -> Mapping[int, Payload]:
    """Payloads of some rows with a change added to each."""
    return {
        int(row): redraw(payload, partial(add, change))
        for row, payload, change in zip(rows, dataset.read(rows), changes, strict=True)
    }


def stamp(craft: Craft, shape: tuple[int, int, int], pixels: Pixels) -> Pixels:
    """Every image with the change crafted for it; `shape` is the canvas' (h, w, c)."""
    changes = craft(np.stack([fitted(image, *shape) for image in pixels]))
    return np.stack([add(change, image) for image, change in zip(pixels, changes, strict=True)])


def add(change: np.ndarray, image: Image) -> Image:
    """The image with a change added, which is brought to its size and colours first."""
    height, width, channels = image.shape
    sized = change if change.shape[:2] == (height, width) else _resized(change, height, width)
    coloured = sized.mean(axis=2, keepdims=True) if channels == 1 else sized
    return np.clip(np.round(image + coloured), 0, 255).astype(np.uint8)


def _resized(change: np.ndarray, height: int, width: int) -> np.ndarray:
    planes = [Pillow.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(change, 2, 0)]
    return np.stack([np.asarray(plane.resize((width, height), Pillow.Resampling.BILINEAR)) for plane in planes], axis=2)
