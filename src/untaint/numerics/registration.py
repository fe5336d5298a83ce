"""How alike are two images once one has been moved, turned and re-exposed a little to fit the other?

Tangent distance (Simard, LeCun, Denker 1993): the set of slightly moved versions of an image is replaced by the plane that
touches it, so the best fit is one small least-squares problem per pair.
"""

import numpy as np

_BATCH = 1024
_DAMPING = 1e-4
"""Of unit tangents: a blank or one-coloured image has none, and its system must still be solvable."""


def misfit(images: np.ndarray, neighbours: np.ndarray, border: int) -> np.ndarray:
    """(n, k) share 0..1 of each neighbour's contrast that no small move, turn or exposure of the row's own image explains.

    images (n, h, w) grey, any number type.  neighbours (n, k) rows.  border: cells at the edge that do not count, since what
    is moved out of the picture cannot be fitted.
    """
    inner = np.s_[:, border : images.shape[1] - border, border : images.shape[2] - border]
    unit = np.concatenate([_unit(_flat(part, inner)) for part in _parts(images)])
    left = []
    for start in range(0, len(images), _BATCH):
        tangents = _tangents(images[start : start + _BATCH].astype(np.float32), inner)
        fitted = tangents @ unit[neighbours[start : start + _BATCH]].transpose(0, 2, 1)
        gram = tangents @ tangents.transpose(0, 2, 1)
        gram[:, range(gram.shape[1]), range(gram.shape[1])] += np.float32(_DAMPING)
        left.append(1 - (fitted * np.linalg.solve(gram, fitted)).sum(1))
    return np.asarray(np.sqrt(np.clip(np.concatenate(left), 0, 1)), dtype=np.float32)


def _parts(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + _BATCH].astype(np.float32) for start in range(0, len(images), _BATCH)]


def _tangents(images: np.ndarray, inner: tuple[slice, ...]) -> np.ndarray:
    """(m, 4, d) unit directions: down, across, turned, and the image itself (its contrast)."""
    down, across = np.gradient(images, axis=(1, 2))
    rows, columns = (np.arange(size, dtype=np.float32) - (size - 1) / 2 for size in images.shape[1:])
    turned = rows[:, None] * across - columns * down
    return np.stack([_unit(_flat(each, inner)) for each in (down, across, turned, images)], axis=1)


def _flat(images: np.ndarray, inner: tuple[slice, ...]) -> np.ndarray:
    return images[inner].reshape(len(images), -1)


def _unit(flat: np.ndarray) -> np.ndarray:
    """Mean removed (brightness does not count) and length one."""
    centred = flat - flat.mean(1, keepdims=True)
    unit: np.ndarray = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + np.float32(1e-6))
    return unit
