"""The five views of an image as a foreign encoder sees them, where the user named one."""

from dataclasses import dataclass
from typing import final

import numpy as np
from PIL import Image

from untaint.features import views
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics import pictures, principal
from untaint.types import Labels, Pixels, Rows

_DIMENSIONS = 128  # principal coordinates kept; 256 are within a point, and whitening loses 2 to 9 (3,000 photographs)
_BATCH = 64
_KEPT = 5 / 8  # of a side, in a partial view: wide enough for an encoder, and still out of reach of a patch at the other end
_SOFT = 2  # pixels averaged to one in the whole view, so that fine patterns do not move it


@final
@dataclass(frozen=True)
class Encoded:
    """views: (5, n, d) unit vectors, zeros where a row is not usable; empty without an encoder."""

    views: np.ndarray

    def looks(self, pixels: Pixels, rows: Rows) -> list[np.ndarray]:
        """The five views of some rows, each (m, d) float32: the encoder's, or the coarse ones if there are none."""
        if len(self.views) == 0:
            return views.looks(pixels, rows)
        return [view[rows].astype(np.float32) for view in self.views]


@feature(stored=True)
def encoded(pixels: Pixels, labels: Labels, settings: Settings) -> Encoded:
    """Views of usable rows by `settings.encoder`; empty when there is none."""
    if settings.encoder is None:
        return Encoded(np.empty((0, 0, 0), np.float16))
    from untaint.nets import encoders

    encode, side = encoders.load(settings.encoder)
    rows = np.flatnonzero(labels >= 0)
    parts: list[list[np.ndarray]] = [[] for _ in views.VIEWS]
    for start in range(0, len(rows), _BATCH):
        images = _coloured(pixels[rows[start : start + _BATCH]])
        for part, view in zip(parts, _views(images), strict=True):
            part.append(encode(_scaled(view, side or encoders.SIDE, square=side is not None)))
        settings.report_progress("encoding images", min(start + _BATCH, len(rows)), len(rows))
    found = np.zeros((len(parts), len(labels), min(_DIMENSIONS, parts[0][0].shape[1])), np.float16)
    for number, part in enumerate(parts):
        found[number, rows] = _unit_length(np.concatenate(part))
    return Encoded(found)


def _coloured(images: Pixels) -> np.ndarray:
    return images if images.shape[3] == 3 else np.repeat(images[..., :1], 3, axis=3)


def _views(images: np.ndarray) -> list[np.ndarray]:
    """Whole and soft, left, right, top, bottom."""
    height, width = images.shape[1:3]
    tall, wide = max(1, round(height * _KEPT)), max(1, round(width * _KEPT))
    soft = pictures.shrink(pictures.to_float(images), max(1, height // _SOFT), max(1, width // _SOFT))
    whole = np.round(soft * 255).astype(np.uint8)
    return [whole, images[:, :, :wide], images[:, :, -wide:], images[:, :tall], images[:, -tall:]]


def _scaled(images: np.ndarray, side: int, *, square: bool) -> np.ndarray:
    """The longest side at `side` pixels, bilinear; square where the encoder insists."""
    height, width = images.shape[1:3]
    longest = max(height, width)
    size = (side, side) if square else (max(1, round(side * width / longest)), max(1, round(side * height / longest)))
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)) for image in images])


def _unit_length(points: np.ndarray) -> np.ndarray:
    """(m, d) principal coordinates, each row of unit length. Values that are not finite count as zero."""
    leading = principal.leading(np.nan_to_num(points.astype(np.float32), posinf=0, neginf=0), _DIMENSIONS)
    unit: np.ndarray = leading / (np.linalg.norm(leading, axis=1, keepdims=True) + np.float32(1e-6))
    return unit
