"""Rectangles, shifts and flips on image stacks (n, h, w, c), each row by its own draw."""

import numpy as np

from untaint.types import Mask


def rectangles(shape: tuple[int, int], areas: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Masks (n, h, w) of rectangles in the image's proportions: shares (n,) of its area, centres (n, 2) in 0..1, cut at the edge."""
    bounds = []
    for size, centre in zip(shape, centres.T, strict=True):
        half = np.sqrt(np.clip(areas, 0, 1)) * size / 2
        places = np.arange(size) + 0.5
        bounds.append(np.abs(places - (centre * size)[:, None]) <= half[:, None])
    rows, columns = bounds
    return rows[:, :, None] & columns[:, None, :]


def shifted(images: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Each image moved by (down, right) of moves (n, 2) in whole pixels; what comes in is the image mirrored at its edge."""
    n, height, width, _ = images.shape
    reach = int(np.abs(moves).max(initial=0))
    if reach == 0:
        return images.copy()
    pad = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded = np.pad(images, pad, mode="reflect" if min(height, width) > reach else "edge")
    rows = np.arange(height) + reach - moves[:, :1]
    columns = np.arange(width) + reach - moves[:, 1:]
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def mirrored(images: np.ndarray, which: Mask) -> np.ndarray:
    """Some images with left and right exchanged."""
    return np.where(which[:, None, None, None], images[:, :, ::-1], images)
