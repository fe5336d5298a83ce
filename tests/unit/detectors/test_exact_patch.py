"""A patch shared bit for bit, on images that are hard to judge; and marks that honest images of one class share."""

from functools import cache

import numpy as np
from tests.digit_sets import Digits, clean

from untaint.detectors.exact_patch import ExactPatch
from untaint.evidence.evidence import Evidence
from untaint.evidence.patch_groups import LEAST_EFFECT


@cache
def noisy() -> Digits:
    """Digits under so much noise that no two share a patch."""
    start = clean()
    noise = np.random.default_rng(0).normal(0, 40, start.images.shape)
    return Digits(np.clip(start.images + noise, 0, 255).astype(np.uint8), start.labels, start.truth, start.tampered)


def examined(digits: Digits) -> Evidence:
    features = digits.features()
    asked = {name: features.get(name) for name in ("pixels", "labels", "content", "near_copies", "class_names")}
    return ExactPatch().examine(**asked)


def marked(rows: np.ndarray, label: int | None, jitter: int) -> Digits:
    start, rng = noisy(), np.random.default_rng(1)
    images, labels, tampered = start.images.copy(), start.labels.copy(), start.tampered.copy()
    patch = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]], np.uint8).reshape(3, 3, *[1] * (images.ndim - 3))
    for row in rows:
        i, j = rng.integers(0, jitter + 1, 2)
        images[row, i : i + 3, j : j + 3] = patch
    if label is not None:
        labels[rows], tampered[rows] = label, True
    return Digits(images, labels, start.truth, tampered)


def test_two_dozen_images_with_a_floating_patch_are_found() -> None:
    rows = np.flatnonzero(noisy().labels != 4)[::60][:24]
    digits = marked(rows, 4, noisy().images.shape[1] - 4)
    (group,) = examined(digits).groups
    assert sorted(group.members) == sorted(rows)
    assert group.target_label == "4"
    assert group.p_value < 0.001
    assert group.trigger is not None
    assert "anywhere" in group.trigger.description


def test_cover_samples_stay() -> None:
    others = np.flatnonzero(noisy().labels != 4)[::40][:40]
    poisoned = marked(others[::2], 4, 0)
    covered = marked(others[1::2], None, 0)
    images = poisoned.images.copy()
    images[others[1::2]] = covered.images[others[1::2]]
    (group,) = examined(Digits(images, poisoned.labels, poisoned.truth, poisoned.tampered)).groups
    assert set(group.members) <= set(others[::2])
    assert len(group.members) >= 14  # of twenty; noise makes content hard to judge


def test_a_watermark_on_honest_images_accuses_nobody() -> None:
    of_one_class = np.flatnonzero(noisy().labels == 7)[::3]
    (group,) = examined(marked(of_one_class, None, 0)).groups
    assert group.contradiction == 0
    assert group.target_label == "7"
    of_all = np.arange(0, len(noisy().labels), 20)
    assert examined(marked(of_all, None, 0)).groups == ()


def test_a_smooth_change_of_the_whole_image_is_found_where_images_are_even() -> None:
    start = clean()
    images = np.repeat(np.repeat(start.images, 3, axis=1), 3, axis=2)
    rows = np.flatnonzero(start.labels != 4)[::27]
    slope = np.linspace(-30, 40, images.shape[1])
    change = (slope[:, None] + slope[None, :] / 2).reshape(images.shape[1], images.shape[2], *[1] * (images.ndim - 3))
    images[rows] = np.clip(images[rows].astype(float) + change, 0, 255).astype(np.uint8)
    labels, tampered = start.labels.copy(), start.tampered.copy()
    labels[rows], tampered[rows] = 4, True
    groups = examined(Digits(images, labels, start.truth, tampered)).groups
    accused = [group for group in groups if group.p_value < 0.01 and group.contradiction >= LEAST_EFFECT]
    members = np.unique(np.concatenate([group.members for group in accused]))
    assert np.isin(rows, members).mean() > 0.9
    assert np.isin(members, rows).mean() > 0.95
