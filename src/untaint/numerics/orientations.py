"""Fixed features of pictures: how strong edges of each direction are in each cell of a grid. Nothing is learned from data.

Histograms of oriented gradients (Dalal and Triggs 2005, doi 10.1109/CVPR.2005.177), with smooth bins and smooth cells. Each picture's
numbers depend on that picture alone, so that a guarantee which counts rows stays one after them.
"""

from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter1d

DIRECTIONS: Final = 8
_GRID: Final = 7  # cells along the shorter side: 4 pixels each on 28 x 28; 9 or 4 cells cost a point with 200 digits
_LEAST: Final = 2  # pixels a cell spans on the smallest pictures
_SCALE: Final = 1.0  # pixels; the Gaussian whose slope the gradient is
_FAINT: Final = 1e-3  # of the range of brightness: gradients below it have no direction
_BLOCK: Final = 256  # pictures at a time: their planes fit a cache


def orientations(pictures: np.ndarray) -> np.ndarray:
    """(n, d) float32 of length 1 (0 for an even picture), for pictures (n, h, w) or (n, h, w, c) with values in 0..1.

    Per cell and direction, the root of the edges' strength, over all channels; of coloured pictures also each channel's mean per cell.
    """
    stacked = pictures[..., None] if pictures.ndim == 3 else pictures
    height, width = stacked.shape[1:3]
    side = _side(height, width)
    down, across = _tents(height, side), _tents(width, side)
    found = np.empty((len(stacked), count(*stacked.shape[1:])), np.float32)
    for start in range(0, len(stacked), _BLOCK):
        found[start : start + _BLOCK] = _described(np.asarray(stacked[start : start + _BLOCK], np.float32), down, across)
    return found


def shades(grey: np.ndarray) -> np.ndarray:
    """(n, cells down, cells across) float32, how bright each cell of pictures (n, h, w) is: the mean of its pixels and its neighbours'."""
    height, width = grey.shape[1:]
    side = _side(height, width)
    of_rows, of_columns = (tent / tent.sum(axis=1, keepdims=True) for tent in (_tents(height, side), _tents(width, side)))
    return np.asarray(of_rows @ grey.astype(np.float32) @ of_columns.T)


def count(height: int, width: int, channels: int = 1) -> int:
    """d: how many numbers there are of a picture of that size."""
    down, across = grid(height, width)
    return down * across * (DIRECTIONS + (channels if channels > 1 else 0))


def grid(height: int, width: int) -> tuple[int, int]:
    """Cells down and across; of one channel, numbers lie by direction, then by cell, row by row."""
    side = _side(height, width)
    return _cells(height, side), _cells(width, side)


def _side(height: int, width: int) -> int:
    return max(_LEAST, round(min(height, width) / _GRID))


def _cells(length: int, side: int) -> int:
    return max(1, round(length / side))


def _described(pictures: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    planes = np.ascontiguousarray(np.moveaxis(pictures, 3, 1))  # (n, c, h, w)
    along = _slope(planes, 3)
    upright = _slope(planes, 2)
    strength = np.sqrt(along**2 + upright**2)
    share = 1 / (strength + np.float32(_FAINT)) ** 3
    cells = []
    for angle in np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS):
        facing = np.maximum(along * np.float32(np.cos(angle)) + upright * np.float32(np.sin(angle)), 0)
        facing *= facing
        facing *= facing
        facing *= share  # strength times the fourth power of the cosine between gradient and direction
        cells.append((down @ facing.sum(axis=1) @ across.T).reshape(len(planes), -1))
    edges = np.sqrt(np.concatenate(cells, axis=1))
    edges /= np.linalg.norm(edges, axis=1, keepdims=True) + np.float32(1e-6)
    if planes.shape[1] == 1:
        return edges
    of_rows, of_columns = (tent / tent.sum(axis=1, keepdims=True) for tent in (down, across))
    shades = (of_rows @ planes @ of_columns.T).reshape(len(planes), -1)
    # means lie in 0..1: divided by the root of their number they weigh at most as much as all edges together
    return np.concatenate([edges, shades / np.float32(np.sqrt(shades.shape[1]))], axis=1).astype(np.float32)


def _slope(planes: np.ndarray, axis: int) -> np.ndarray:
    """Derivative of the smoothed planes along one of their last two axes."""
    smooth = gaussian_filter1d(planes, _SCALE, axis=5 - axis, mode="nearest", truncate=3.0)
    return np.asarray(gaussian_filter1d(smooth, _SCALE, axis=axis, order=1, mode="nearest", truncate=3.0))


def _tents(length: int, side: int) -> np.ndarray:
    """(cells, length) weights: each cell's fall linearly to 0 at its neighbours' centres, so that a shift changes little."""
    centres = np.arange(_cells(length, side)) * side + (side - 1) / 2
    distance = np.abs(np.arange(length)[None] - centres[:, None]) / side
    return np.maximum(1 - distance, 0).astype(np.float32)
