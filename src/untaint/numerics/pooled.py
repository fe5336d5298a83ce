"""Layers of a network in brief: the mean of every channel over a few cells of the picture, and how the channels go together."""

import numpy as np

_GRID = 4
"""Cells along each side of a map; a patch in a corner moves one of sixteen means, and a layer stays a few hundred numbers."""
_WIDE = 512
"""Numbers of a layer from which a coarser grid, of half the cells each way, is enough: late maps are small and their channels many."""
_GROUPS = 8
"""Stretches of a transformer's tokens: as many as keep a row of patches of a small picture apart."""


def pooled(values: np.ndarray) -> np.ndarray:
    """Outputs of a layer as (n, c, cells): maps (n, c, h, w) over a grid, tokens (n, t, c) over stretches, rows (n, c) as they are."""
    if values.ndim == 4:
        n, channels, height, width = values.shape
        grid = _GRID if channels * _GRID**2 <= _WIDE else _GRID // 2
        down, right = _means(height, grid, values.dtype), _means(width, grid, values.dtype)
        across = values.reshape(-1, width) @ right
        both = np.kron(down, np.eye(right.shape[1], dtype=values.dtype))
        return (across.reshape(n * channels, -1) @ both).reshape(n, channels, -1)
    if values.ndim == 3:
        return np.matmul(values.transpose(0, 2, 1), _means(values.shape[1], _GROUPS, values.dtype))
    return values.reshape(len(values), -1, 1)


def togetherness(cells: np.ndarray, orders: tuple[int, ...] = (1, 2, 3, 4)) -> np.ndarray:
    """Row sums of the Gram matrices of a layer (n, c, cells), of several orders, as (n, c x orders), root of the order taken.

    The matrix of order p is that of the channels' p-th powers (Sastry and Oore 2020; Ma et al. 2023, "Beatrix"); its row sums need
    no matrix: channel i's is the product of its powers with the sum of all channels' powers. Signs are kept.
    """
    found, powers = [], cells
    for order in range(1, max(orders) + 1):
        if order > 1:
            powers = powers * np.abs(cells)
        if order in orders:
            rows = powers * powers.sum(1, keepdims=True)
            found.append(_root(rows.sum(2), order))
    return np.concatenate(found, 1)


def _root(values: np.ndarray, order: int) -> np.ndarray:
    """The root of twice the order, signs kept; square and cube roots are far quicker than powers."""
    size = np.sqrt(np.abs(values))
    if order in {2, 4}:
        size = np.sqrt(size) if order == 2 else np.sqrt(np.sqrt(size))
    elif order > 1:
        size = np.cbrt(size) if order == 3 else size ** (1 / order)
    return np.copysign(size, values)


def _means(size: int, most: int, dtype: np.dtype) -> np.ndarray:
    """Matrix (size, cells) that takes means over stretches of about one length, `most` of them, or of one each."""
    cells = min(size, most)
    own = np.arange(size)[:, None] * cells // size == np.arange(cells)
    return (own / own.sum(0)).astype(dtype)
