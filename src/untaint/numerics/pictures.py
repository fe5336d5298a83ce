"""Blurring, pooling and resampling of image stacks (n, h, w, c)."""

import numpy as np

_BINOMIAL_5 = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16
"""Row 4 of Pascal's triangle: the usual small Gaussian."""


def blur(images: np.ndarray) -> np.ndarray:
    """5x5 binomial blur of (n, h, w, c) float images, edges repeated."""
    return _along(_along(images, 1), 2)


def _along(images: np.ndarray, axis: int) -> np.ndarray:
    pad = [(0, 0)] * images.ndim
    pad[axis] = (2, 2)
    padded = np.pad(images, pad, mode="edge")
    size = images.shape[axis]
    total = np.zeros(images.shape, np.float32)
    for i, weight in enumerate(_BINOMIAL_5):
        shifted = padded[:, i : i + size] if axis == 1 else padded[:, :, i : i + size]
        total += weight * shifted
    return total


def shrink(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area average of (n, h, w, c) float images on a coarser grid; target cells may cover fractions of pixels."""
    rows, columns = area_weights(images.shape[1], height), area_weights(images.shape[2], width)
    return np.einsum("ah,nhwc,bw->nabc", rows, images, columns, optimize=True).astype(np.float32)


def area_weights(size: int, target: int) -> np.ndarray:
    """(target, size) matrix whose rows average equal stretches of `size` cells."""
    edges = np.linspace(0, size, target + 1)
    cells = np.arange(size)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    weights = np.clip(overlap, 0, None)
    scaled: np.ndarray = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return scaled


def to_float(pixels: np.ndarray) -> np.ndarray:
    """uint8 0..255 as float32 0..1."""
    return pixels.astype(np.float32) / np.float32(255)


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Mean over channels of (n, h, w, c) uint8, rounded down: (n, h, w) uint8."""
    return pixels[..., 0] if pixels.shape[-1] == 1 else (pixels.sum(-1, dtype=np.uint16) // pixels.shape[-1]).astype(np.uint8)


def cut(grey: np.ndarray, levels: int) -> np.ndarray:
    """Grey values 0..255 cut into `levels` equal steps: int32 0..levels-1."""
    return grey.astype(np.int32) * levels // 256
