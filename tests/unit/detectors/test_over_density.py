"""Floods: crowds of one label are judged together, one vote each."""

import numpy as np
from tests.digit_sets import clean

from untaint.data.dataset import from_arrays
from untaint.detectors.base import examine, needs
from untaint.detectors.over_density import LEAST_EFFECT, OverDensity, _copied
from untaint.evidence.evidence import Evidence
from untaint.features.cache import Cache
from untaint.features.duplicates import NearCopies
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


def family(sizes: list[int], alone: int) -> NearCopies:
    component = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(alone, -1)])
    return NearCopies(component, np.full(len(component), -1), np.ones(len(component)))


def test_a_crowd_is_a_flood_only_if_it_holds_strict_copies() -> None:
    mostly_copies = family([12, 2, 2], 2000)
    assert _copied(mostly_copies, np.arange(12))
    assert _copied(mostly_copies, np.array([*range(12), *range(100, 120)]))  # a third of the crowd
    assert not _copied(mostly_copies, np.arange(100, 130))  # look-alikes, no two of them copies
    assert not _copied(mostly_copies, np.arange(8))  # too few


def test_families_of_an_augmented_set_are_usual() -> None:
    each_three_times = family([3] * 400, 0)
    assert not _copied(each_three_times, np.arange(12))
    with_a_flood = family([40, *[3] * 400], 0)
    assert _copied(with_a_flood, np.arange(40))
