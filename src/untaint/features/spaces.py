"""Three whitened readings of an image in which content is weak and triggers are not: fine grain, local energy, broad tones."""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import uniform_filter

from untaint.features.graph import feature
from untaint.numerics import mixture, pictures
from untaint.types import Embeddings, Labels, Pixels

_LONGEST = 32  # pixels; patterns are searched at this size: 32x32x3 = 3072 numbers per image
_TONES = 8  # cells per side of the broad reading: a pattern that varies slower than a blur removes
_SILENCE = 1e-5  # added to energies of 0..1 pixels: a fiftieth of the energy of one grey level in 255 over a cell
_BATCH = 2048


@feature()
def fine_grain(pixels: Pixels, labels: Labels) -> Embeddings:
    """(n, d) high-pass residuals, image minus its blur, covariance about one; rows of zeros where not usable."""
    return _whitened(pixels, labels, _grain)


@feature()
def local_energy(pixels: Pixels, labels: Labels) -> Embeddings:
    """(n, d) log energy around each pixel in two frequency bands, whitened: resampling and dithering leave a map of it."""
    return _whitened(pixels, labels, _energies)


@feature()
def broad_tones(pixels: Pixels, labels: Labels) -> Embeddings:
    """(n, d) an 8x8 thumbnail, whitened: patterns as smooth as shading."""
    return _whitened(pixels, labels, _thumbnails)


def _grain(images: np.ndarray) -> np.ndarray:
    small = _bounded(images)
    return small - pictures.blur(small)


def _energies(images: np.ndarray) -> np.ndarray:
    """At full size: shrinking first would resample everything alike."""
    grey = images.mean(-1, keepdims=True)
    once = _binomial(grey)
    bands = (grey - once, once - _binomial(once))
    maps = [np.log(uniform_filter(band**2, (1, 3, 3, 1), mode="nearest") + np.float32(_SILENCE)) for band in bands]
    return _bounded(np.concatenate(maps, axis=-1))


def _thumbnails(images: np.ndarray) -> np.ndarray:
    return pictures.shrink(images, min(_TONES, images.shape[1]), min(_TONES, images.shape[2]))


def _bounded(images: np.ndarray) -> np.ndarray:
    height, width = images.shape[1:3]
    scale = min(1.0, _LONGEST / max(height, width))
    if scale == 1.0:
        return images
    return pictures.shrink(images, max(1, round(height * scale)), max(1, round(width * scale)))


def _binomial(images: np.ndarray) -> np.ndarray:
    """Blur with (1, 2, 1) / 4 along both sides, borders repeated."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    across: np.ndarray = (down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) / 4
    return across


def _whitened(pixels: Pixels, labels: Labels, read: Callable[[np.ndarray], np.ndarray]) -> Embeddings:
    """Readings of usable rows, centred over the set and whitened by their covariance."""
    rows = np.flatnonzero(labels >= 0)
    parts = [
        read(pictures.to_float(pixels[rows[start : start + _BATCH]])).reshape(len(rows[start : start + _BATCH]), -1)
        for start in range(0, len(rows), _BATCH)
    ]
    points = np.concatenate(parts).astype(np.float32, copy=False)
    del parts
    points -= points.mean(0)
    root = mixture.whitener(points)
    whitened = np.zeros((len(labels), points.shape[1]), np.float32)
    for start in range(0, len(rows), _BATCH):
        whitened[rows[start : start + _BATCH]] = points[start : start + _BATCH] @ root
    return whitened
