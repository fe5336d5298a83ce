"""Images resampled at steps from every pixel."""

from itertools import product

import numpy as np

from untaint.types import Pixels

_BEND = -0.75
"""Free parameter of cubic convolution, as in PyTorch's grid_sample, which WaNet's code calls."""


def resampled(pixels: Pixels, steps: np.ndarray, *, cubic: bool = False) -> Pixels:
    """Images (n, h, w, c) resampled at steps (n or 1, h, w, 2), down and right, from every pixel; edges repeated."""
    n, height, width = pixels.shape[:3]
    whole = np.floor(steps)
    part, base = steps - whole, whole.astype(np.int64) + np.moveaxis(np.indices((height, width)), 0, 2)
    image, total = np.arange(n)[:, None, None], np.zeros(pixels.shape, np.float32)
    for down, right in product(range(-1, 3) if cubic else range(2), repeat=2):
        weight = _kernel(part[..., 0] - down, cubic) * _kernel(part[..., 1] - right, cubic)
        rows, columns = np.clip(base[..., 0] + down, 0, height - 1), np.clip(base[..., 1] + right, 0, width - 1)
        total += weight[..., None] * pixels[image, rows, columns]
    return np.clip(np.round(total), 0, 255).astype(np.uint8)


def _kernel(distance: np.ndarray, cubic: bool) -> np.ndarray:
    """Weight of a pixel at some distance (Keys 1981 for cubic)."""
    away = np.abs(distance)
    if not cubic:
        return np.maximum(1 - away, 0)
    near = (_BEND + 2) * away**3 - (_BEND + 3) * away**2 + 1
    far = _BEND * (away**3 - 5 * away**2 + 8 * away - 4)
    return np.where(away <= 1, near, np.where(away < 2, far, 0))
