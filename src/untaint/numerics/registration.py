"""How alike are two images once one has been moved, turned and re-exposed a little to fit the other?

Tangent distance (Simard, LeCun, Denker 1993): the set of slightly moved versions of an image is replaced by the plane that
touches it, so the best fit is one small least-squares problem per pair. The plane holds for about a cell; before that the
image is moved by whole cells to where it correlates best (`misfit_moved`).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_BATCH = 1024
_MOVED_BATCH = 128  # rows whose windows at every move are held at once
_DAMPING = 1e-4
"""Of unit tangents: a blank or one-coloured image has none, and its system must still be solvable."""


def misfit(images: np.ndarray, neighbours: np.ndarray, border: int) -> np.ndarray:
    """(n, k) share 0..1 of each neighbour's contrast that no small move, turn or exposure of the row's own image explains.

    images (n, h, w) grey, any number type.  neighbours (n, k) rows.  border: cells at the edge that do not count, since what
    is moved out of the picture cannot be fitted.
    """
    unit = _inner_units(images, border)
    left = []
    for start in range(0, len(images), _BATCH):
        tangents = _unit(_flat(_planes(images[start : start + _BATCH]), border))
        left.append(_left(tangents[:, None], unit[neighbours[start : start + _BATCH]]))
    return np.concatenate(left)


def misfit_moved(images: np.ndarray, neighbours: np.ndarray, border: int) -> np.ndarray:
    """(n, k) as `misfit`, once the row's image was moved by up to `border` whole cells to where it correlates best."""
    unit = _inner_units(images, border)
    inner = (images.shape[1] - 2 * border, images.shape[2] - 2 * border)
    left = []
    for start in range(0, len(images), _MOVED_BATCH):
        planes = _planes(images[start : start + _MOVED_BATCH])
        near = unit[neighbours[start : start + _MOVED_BATCH]]
        windows = sliding_window_view(planes, inner, axis=(2, 3))
        shown = windows[:, -1].reshape(len(planes), -1, inner[0] * inner[1])
        spread = np.sqrt(np.maximum((shown**2).sum(2) - shown.shape[2] * shown.mean(2) ** 2, 1e-6))
        best = ((shown @ near.transpose(0, 2, 1)) / spread[:, :, None]).argmax(1)
        down, across = np.divmod(best, windows.shape[3])
        there = windows.transpose(0, 2, 3, 1, 4, 5)[np.arange(len(planes))[:, None], down, across]
        left.append(_left(_unit(there.reshape(*there.shape[:3], -1)), near))
    return np.concatenate(left)


def _left(tangents: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(m, k) what is left of each unit neighbour. tangents (m, k or 1, 4, d), near (m, k, d)."""
    own = tangents.shape[1] > 1  # each pair its own: the row's image was moved differently for each neighbour
    fitted = tangents @ near[..., None] if own else (near @ tangents[:, 0].transpose(0, 2, 1))[..., None]
    gram = tangents @ tangents.transpose(0, 1, 3, 2)
    gram[:, :, range(gram.shape[2]), range(gram.shape[2])] += np.float32(_DAMPING)
    explained = (fitted * np.linalg.solve(gram, fitted)).sum((2, 3))
    return np.asarray(np.sqrt(np.clip(1 - explained, 0, 1)), dtype=np.float32)


def _inner_units(images: np.ndarray, border: int) -> np.ndarray:
    """(n, d) inner part of each image, mean removed, length one."""
    parts = [images[start : start + _BATCH].astype(np.float32) for start in range(0, len(images), _BATCH)]
    return np.concatenate([_unit(_flat(part, border)) for part in parts])


def _planes(images: np.ndarray) -> np.ndarray:
    """(m, 4, h, w) the directions an image can be moved in: down, across, turned, and the image itself (its contrast).

    Turned about the middle; about another point is that and a move, so the plane they span is the same in any window.
    """
    images = images.astype(np.float32)
    down, across = np.gradient(images, axis=(1, 2))
    rows, columns = (np.arange(size, dtype=np.float32) - (size - 1) / 2 for size in images.shape[1:])
    return np.stack([down, across, rows[:, None] * across - columns * down, images], axis=1)


def _flat(images: np.ndarray, border: int) -> np.ndarray:
    height, width = images.shape[-2:]
    return images[..., border : height - border, border : width - border].reshape(*images.shape[:-2], -1)


def _unit(flat: np.ndarray) -> np.ndarray:
    """Mean removed (brightness does not count) and length one."""
    centred = flat - flat.mean(-1, keepdims=True)
    unit: np.ndarray = centred / (np.linalg.norm(centred, axis=-1, keepdims=True) + np.float32(1e-6))
    return unit
