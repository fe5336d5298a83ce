"""Near-copies join; what nature makes alike mostly does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform, gaussian_filter
from tests.digit_sets import clean

from untaint.features.duplicates import NearCopies, near_copies
from untaint.features.settings import Settings


def found(images: np.ndarray, labels: np.ndarray | None = None) -> NearCopies:
    codes = np.zeros(len(images), np.int64) if labels is None else labels
    return near_copies(images[:, :, :, None], codes, Settings())


def scenes(n: int = 400, side: int = 16) -> np.ndarray:
    """Different bright shapes well inside a dark border."""
    rng = np.random.default_rng(0)
    images = np.zeros((n, side, side), np.uint8)
    images[:, 4:-4, 4:-4] = rng.integers(0, 256, (n, side - 8, side - 8))
    return images


def together(copies: NearCopies, rows: np.ndarray) -> bool:
    numbers = np.unique(copies.component[rows])
    return len(numbers) == 1 and int(numbers[0]) >= 0


@pytest.mark.parametrize("count", [2, 5, 8, 9, 30, 120])
def test_exact_copies_are_one_component(count: int) -> None:
    images = np.concatenate([scenes(), np.repeat(scenes()[:1], count - 1, axis=0)])
    copies = found(images)
    rows = np.array([0, *range(400, 400 + count - 1)])
    assert together(copies, rows)
    assert (copies.component >= 0).sum() == count


def test_two_sets_of_copies_are_two_components() -> None:
    images = np.concatenate([scenes(), np.repeat(scenes()[:2], 10, axis=0)])
    copies = found(images)
    first, second = np.array([0, *range(400, 410)]), np.array([1, *range(410, 420)])
    assert together(copies, first)
    assert together(copies, second)
    assert copies.component[0] != copies.component[1]


def test_shifted_and_noisy_copies_join() -> None:
    rng = np.random.default_rng(1)
    base = scenes()[0].astype(int)
    copies = [np.roll(base, tuple(rng.integers(-2, 3, 2)), axis=(0, 1)) + rng.integers(-8, 9, base.shape) for _ in range(20)]
    images = np.concatenate([scenes(), np.stack(copies).clip(0, 255).astype(np.uint8)])
    numbers = found(images)
    assert together(numbers, np.array([0, *range(400, 420)]))
    assert (numbers.component >= 0).sum() == 21


def test_shifted_copies_of_what_fills_the_frame_join() -> None:
    """Every image with two copies moved by up to two cells: a texture without a border, which no centring lines up."""
    rng = np.random.default_rng(3)
    large = gaussian_filter(rng.normal(size=(300, 36, 36)), (0, 1.5, 1.5))
    large = (large - large.min()) / np.ptp(large) * 255
    corners = rng.integers(2, 7, (3, 300, 2))
    images = np.stack([image[r : r + 28, c : c + 28] for part in corners for image, (r, c) in zip(large, part, strict=True)])
    family = found(images.astype(np.uint8)).family.reshape(3, 300)
    assert (family[0] == family[1]).mean() > 0.95
    assert (family[0] == family[2]).mean() > 0.95
    assert len(np.unique(family)) >= 290  # and no strangers


def test_clean_digits_have_hardly_a_crowd() -> None:
    """But one: two dozen ones of a writer. They are no copies of each other."""
    copies = found(clean().images, clean().labels)
    assert np.bincount(copies.component[copies.component >= 0]).max(initial=0) < 5
    crowded = copies.crowd >= 0
    assert crowded.sum() <= 25
    assert len(np.unique(clean().labels[crowded])) <= 1


def test_chance_falls_with_the_length_of_the_chain() -> None:
    images = np.concatenate([scenes(), np.repeat(scenes()[:1], 9, axis=0), np.repeat(scenes()[1:2], 5, axis=0), scenes()[7:10]])
    chance = found(images).chance
    rate = (6 + 1) / (len(images) - 16 + 1)  # exact copies outside the two crowds: three pairs
    assert chance[1] == pytest.approx(len(images) * rate**5)
    assert chance[0] == pytest.approx(len(images) * rate**9)
    assert (chance[[2, 7, -3]] == 1).all()


def turned(image: np.ndarray, degrees: float, shift: tuple[float, float], noise: np.ndarray) -> np.ndarray:
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(image.shape) - 1) / 2
    moved = affine_transform(image.astype(float), matrix, middle - matrix @ middle + shift, order=1, mode="nearest")
    return np.clip(np.round(moved + noise), 0, 255).astype(np.uint8)


def test_turned_shifted_and_noisy_copies_are_a_crowd_and_nothing_else_joins() -> None:
    digits, rng = clean().images, np.random.default_rng(2)
    base = digits[5]
    copies = [turned(base, rng.uniform(-5, 5), tuple(rng.uniform(-1.6, 1.6, 2)), rng.normal(0, 8, base.shape)) for _ in range(40)]
    images = np.concatenate([digits, np.stack(copies)])
    numbers = found(images).crowd
    crowd = np.bincount(numbers[len(digits) :][numbers[len(digits) :] >= 0]).argmax()
    assert (numbers[len(digits) :] == crowd).mean() >= 0.9
    assert (numbers[: len(digits)] == crowd).sum() <= 3


def test_rows_that_are_not_usable_have_no_copies() -> None:
    images = np.concatenate([scenes(), scenes()[:3]])
    labels = np.zeros(len(images), np.int64)
    labels[[0, 401]] = -1
    copies = found(images, labels)
    assert copies.component[[0, 1, 400, 401]].tolist() == [-1, -1, -1, -1]
    assert together(copies, np.array([2, 402]))


@pytest.mark.parametrize("count", [1, 8])
def test_a_handful_of_images_is_too_few_to_know_what_is_usual(count: int) -> None:
    copies = found(np.repeat(scenes()[:1], count, axis=0))
    assert (copies.component == -1).all()
    assert (copies.chance == 1).all()


def test_a_set_of_one_image_is_one_component() -> None:
    assert together(found(np.repeat(scenes()[:1], 40, axis=0)), np.arange(40))


COMPONENTS = st.lists(st.integers(-1, 3), min_size=1, max_size=30).map(
    lambda numbers: NearCopies(np.array(numbers, np.int64), np.array(numbers, np.int64), np.ones(len(numbers)))
)


@given(COMPONENTS)
def test_a_family_is_a_component_or_a_row_alone(copies: NearCopies) -> None:
    family, component = copies.family, copies.component
    for i, j in np.ndindex(len(component), len(component)):
        assert (family[i] == family[j]) == (i == j or component[i] == component[j] >= 0)


@given(COMPONENTS)
def test_a_family_counts_as_one(copies: NearCopies) -> None:
    for number in np.unique(copies.family):
        inside = copies.family == number
        assert copies.weights[inside].sum() == pytest.approx(1)
        assert np.flatnonzero(copies.representatives & inside).tolist() == [int(inside.argmax())]


@given(COMPONENTS, st.integers(1, 6), st.integers(0, 100))
def test_a_family_is_in_one_fold(copies: NearCopies, count: int, seed: int) -> None:
    folds = copies.folds(count, seed)
    assert ((folds >= 0) & (folds < count)).all()
    for number in np.unique(copies.family):
        assert len(np.unique(folds[copies.family == number])) == 1
    np.testing.assert_array_equal(folds, copies.folds(count, seed))
