"""Five coarse views of an image, none of which a small trigger can reach all at once."""

import numpy as np

from untaint.numerics import pictures
from untaint.types import Pixels, Rows

VIEWS = ("whole", "left", "right", "top", "bottom")
_COARSE = 7  # cells per side of the whole view: a 3x3 patch of 28x28 touches at most 4 of 49
_FINE = 14  # cells per side before cropping
_KEPT = 8  # cells of 14 that a partial view keeps
_SMALL = 9  # pixels; a partial view of 16x16 and more is blurred, of digits of 8x8 it is not


def looks(pixels: Pixels, rows: Rows, batch: int = 4096) -> list[np.ndarray]:
    """The five views of some rows, each (m, d) float32, mean removed and unit length: contrast and offset do not count."""
    parts = [_look(pixels[rows[start : start + batch]]) for start in range(0, len(rows), batch)]
    return [np.concatenate(view) for view in zip(*parts, strict=True)]


def _look(images: Pixels) -> list[np.ndarray]:
    """Cropped before it is blurred: what lies outside a partial view must not leak into it."""
    floats = pictures.to_float(images)
    height, width = floats.shape[1:3]
    tall, wide = max(1, round(height * _KEPT / _FINE)), max(1, round(width * _KEPT / _FINE))
    parts = (floats[:, :, :wide], floats[:, :, -wide:], floats[:, :tall], floats[:, -tall:])
    sizes = ((_FINE, _KEPT), (_FINE, _KEPT), (_KEPT, _FINE), (_KEPT, _FINE))
    partial = [pictures.shrink(_softened(part), *size) for part, size in zip(parts, sizes, strict=True)]
    return [_unit(view) for view in (pictures.shrink(floats, _COARSE, _COARSE), *partial)]


def _softened(images: np.ndarray) -> np.ndarray:
    """Blurred, unless the image is so small that five pixels are a feature of it."""
    return images if min(images.shape[1:3]) < _SMALL else pictures.blur(images)


def _unit(view: np.ndarray) -> np.ndarray:
    flat = view.reshape(len(view), -1)
    flat = flat - flat.mean(1, keepdims=True)
    unit: np.ndarray = flat / (np.linalg.norm(flat, axis=1, keepdims=True) + np.float32(1e-6))
    return unit
