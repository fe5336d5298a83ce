"""What JPEG loses: blocks of 8x8 values by cosine transform, rounded by its tables, and back.

No file is made: there is no entropy coding, and colour keeps its resolution.
"""

import numpy as np

SIDE = 8
"""Of a block."""
# fmt: off
_GREY = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])
"""ITU-T T.81, table K.1: steps for brightness."""
_COLOUR = np.full((SIDE, SIDE), 99)
_COLOUR[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
"""The same, table K.2: steps for colour."""
_TO_BRIGHTNESS = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""ITU-T T.871: red, green and blue to brightness and two differences of colour."""
# fmt: on


def _cosines() -> np.ndarray:
    places, waves = np.arange(SIDE), np.arange(SIDE)[:, None]
    matrix = np.cos((2 * places + 1) * waves * np.pi / (2 * SIDE)) * np.sqrt(2 / SIDE)
    matrix[0] /= np.sqrt(2)
    return matrix


_COSINES = _cosines().astype(np.float32)
"""Orthonormal: the transform of a block b is C b C', and back by C' b C."""


def steps(table: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Rounding steps (n, 8, 8) at qualities (n,) of 1..100, scaled as the Independent JPEG Group's library does."""
    scale = np.where(quality < 50, 5000 // np.maximum(quality, 1), 200 - 2 * quality)
    return np.clip((table * scale[:, None, None] + 50) // 100, 1, 255).astype(np.float32)


def compressed(images: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Images (n, h, w, c) of 0..1 as JPEG of qualities (n,) leaves them; c = 3 is colour, else each channel is brightness."""
    levels = np.round(images.astype(np.float32) * np.float32(255)) - np.float32(128)
    if images.shape[-1] == 3:
        change = _TO_BRIGHTNESS.astype(np.float32)
        mixed = np.round(levels @ change.T)  # a file holds whole levels
        lost = np.concatenate([_rounded(mixed[..., :1], _GREY, quality), _rounded(mixed[..., 1:], _COLOUR, quality)], axis=-1)
        levels = lost @ np.linalg.inv(_TO_BRIGHTNESS).astype(np.float32).T
    else:
        levels = _rounded(levels, _GREY, quality)
    return np.clip((levels + 128) / np.float32(255), 0, 1)


def _rounded(levels: np.ndarray, table: np.ndarray, quality: np.ndarray) -> np.ndarray:
    n, height, width, channels = levels.shape
    pad = ((0, 0), (0, -height % SIDE), (0, -width % SIDE), (0, 0))
    whole = np.pad(levels, pad, mode="edge")
    down, across = whole.shape[1] // SIDE, whole.shape[2] // SIDE
    blocks = whole.reshape(n, down, SIDE, across, SIDE, channels).transpose(0, 1, 3, 5, 2, 4)
    step = steps(table, quality)[:, None, None, None]
    waves = np.round(_COSINES @ blocks @ _COSINES.T / step) * step
    back = (_COSINES.T @ waves @ _COSINES).transpose(0, 1, 4, 2, 5, 3)
    return back.reshape(whole.shape)[:, :height, :width]
