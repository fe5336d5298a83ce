"""Handwritten digits for tests: clean, with a patch, with flips. Made once, never changed."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.datasets import load_digits

from untaint.data.dataset import Dataset, from_arrays
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

TARGET = 3
PATCH = np.kron([[255, 0], [0, 255]], np.ones((2, 2))).astype(np.uint8)


@dataclass(frozen=True)
class Digits:
    """images (n, 16, 16), labels and the truth (n,), and which rows were tampered with."""

    images: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    tampered: np.ndarray

    @property
    def dataset(self) -> Dataset:
        return from_arrays(self.images, [str(label) for label in self.labels])

    def take(self, rows: np.ndarray) -> "Digits":
        return Digits(self.images[rows], self.labels[rows], self.truth[rows], self.tampered[rows])

    def features(self, seed: int = 0) -> Features:
        return Features(self.dataset, Settings(seed=seed), Cache(None))


@cache
def clean() -> Digits:
    """All 1,797 digits, every pixel doubled."""
    bunch = load_digits()
    small = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    images = np.kron(small, np.ones((1, 2, 2), np.uint8))
    labels = bunch.target.astype(np.int64)
    return Digits(images, labels, labels, np.zeros(len(labels), bool))


@cache
def patched(rate: float = 0.05) -> Digits:
    """A 4x4 checkerboard in the lower right corner of some digits of other classes, labelled `TARGET`."""
    start = clean()
    rows = np.random.default_rng(0).choice(np.flatnonzero(start.truth != TARGET), round(rate * len(start.truth)), replace=False)
    images, labels, tampered = start.images.copy(), start.labels.copy(), start.tampered.copy()
    images[rows, -4:, -4:] = PATCH
    labels[rows] = TARGET
    tampered[rows] = True
    return Digits(images, labels, start.truth, tampered)


@cache
def flipped(rate: float = 0.05) -> Digits:
    """Some digits with the label of another class, drawn at random."""
    start = clean()
    rng = np.random.default_rng(0)
    rows = rng.choice(len(start.truth), round(rate * len(start.truth)), replace=False)
    labels, tampered = start.labels.copy(), start.tampered.copy()
    labels[rows] = (labels[rows] + rng.integers(1, 10, len(rows))) % 10
    tampered[rows] = True
    return Digits(start.images, labels, start.truth, tampered)


def small(n: int = 240) -> Digits:
    """The first few digits."""
    return clean().take(np.arange(n))
