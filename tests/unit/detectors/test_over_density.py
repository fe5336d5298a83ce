"""Floods: crowds of one label are judged together, one vote each."""

import numpy as np
from tests.digit_sets import clean

from untaint.data.dataset import from_arrays
from untaint.detectors.base import examine, needs
from untaint.detectors.over_density import LEAST_EFFECT, OverDensity
from untaint.evidence.evidence import Evidence
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings


def examined(images: np.ndarray, labels: np.ndarray) -> Evidence:
    features = Features(from_arrays(images, [str(label) for label in labels]), Settings(), Cache(None))
    return examine(OverDensity(), {name: features.get(name) for name in needs(OverDensity())})


def flooded(label: int | None, originals: int = 5, each: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Digits and a few noisy copies of some; label None = their own."""
    start, rng = clean(), np.random.default_rng(0)
    chosen = rng.choice(np.flatnonzero(start.truth != 3), originals, replace=False)
    noisy = np.repeat(start.images[chosen], each, axis=0).astype(int) + rng.integers(-6, 7, (originals * each, 16, 16))
    added = np.repeat(start.truth[chosen], each) if label is None else np.full(originals * each, label)
    images = np.concatenate([start.images, noisy.clip(0, 255).astype(np.uint8)])
    labels = np.concatenate([start.labels, added])
    return images, labels, np.arange(len(images)) >= len(start.images)


def accused(found: Evidence, n: int) -> np.ndarray:
    flags = np.zeros(n, bool)
    for group in found.groups:
        if group.p_value <= 0.001 and group.effect >= LEAST_EFFECT:
            flags[group.members] = True
    return flags


def test_several_small_crowds_of_one_wrong_label_are_a_flood() -> None:
    images, labels, added = flooded(3)
    flags = accused(examined(images, labels), len(images))
    assert flags[added].mean() >= 0.75  # four of five crowds
    assert not flags[~added].any()


def test_copies_with_their_own_labels_are_not() -> None:
    images, labels, added = flooded(None)
    found = examined(images, labels)
    assert not accused(found, len(images)).any()
    assert {len(group.members) for group in found.groups} >= {9}  # seen all the same: original and copies
    assert added.sum() == 40
