"""Images moved so that what stands out from their border lies in the middle: small shifts no longer matter."""

import numpy as np

_FAINT = 0.15 * 255
"""Departures from the border's level under this are background texture."""


def centred(pixels: np.ndarray) -> np.ndarray:
    """(n, h, w, c) uint8 with the centre of mass of what differs from the border moved to the centre, edges repeated."""
    grey = pixels.mean(-1, dtype=np.float32)
    height, width = grey.shape[1:]
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    mass = np.abs(grey - np.median(border, axis=1)[:, None, None])
    mass = np.where(mass > _FAINT, mass, 0)
    total = mass.sum((1, 2)) + np.float32(1e-6)
    down = _rounded((mass.sum(2) @ np.arange(height)) / total - (height - 1) / 2)
    across = _rounded((mass.sum(1) @ np.arange(width)) / total - (width - 1) / 2)
    empty = total < 1
    down[empty], across[empty] = 0, 0
    rows = np.clip(np.arange(height) + down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) + across[:, None], 0, width - 1)
    moved: np.ndarray = pixels[np.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved


def _rounded(shift: np.ndarray) -> np.ndarray:
    """Whole pixels. The border lies just under a half, where no symmetric shape has its centre: all its copies round alike."""
    whole: np.ndarray = np.floor(shift + 0.51).astype(int)
    return whole
