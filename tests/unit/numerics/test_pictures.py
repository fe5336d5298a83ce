"""Blurring, pooling and cutting against loops over pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from untaint.numerics import pictures

SIZES = st.integers(1, 9)
STACKS = st.tuples(st.integers(1, 2), SIZES, SIZES, st.sampled_from((1, 3))).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(0, 1, width=32))
)
BYTES = st.tuples(st.integers(1, 2), SIZES, SIZES, st.sampled_from((1, 3))).flatmap(lambda shape: arrays(np.uint8, shape))


def naive_blur(images: np.ndarray) -> np.ndarray:
    n, height, width, channels = images.shape
    row = np.array([1, 4, 6, 4, 1]) / 16
    found = np.zeros(images.shape)
    for k, y, x, c in np.ndindex(n, height, width, channels):
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                inside = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                found[k, y, x, c] += row[dy + 2] * row[dx + 2] * images[k, inside[0], inside[1], c]
    return found


def naive_stretch(line: np.ndarray, target: int) -> np.ndarray:
    """Average of `target` equal stretches of a line: each cell repeated `target` times, stretches of its length averaged."""
    return np.repeat(line, target).reshape(target, len(line)).mean(1)


@given(STACKS)
def test_blur_equals_its_naive_twin(images: np.ndarray) -> None:
    found = pictures.blur(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive_blur(images), atol=1e-5)


@given(st.floats(0, 1, width=32))
def test_blur_leaves_a_flat_image_alone(level: float) -> None:
    images = np.full((1, 6, 5, 1), level, np.float32)
    np.testing.assert_allclose(pictures.blur(images), images, atol=1e-6)


@given(st.integers(1, 30), st.integers(1, 30), st.randoms(use_true_random=False))
def test_area_weights_average_equal_stretches(size: int, target: int, random: object) -> None:
    line = np.array([random.random() for _ in range(size)])  # type: ignore[attr-defined]
    weights = pictures.area_weights(size, target)
    assert weights.shape == (target, size)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights @ line, naive_stretch(line, target), atol=1e-5)


@given(st.integers(1, 40))
def test_area_weights_of_the_same_size_change_nothing(size: int) -> None:
    np.testing.assert_array_equal(pictures.area_weights(size, size), np.eye(size, dtype=np.float32))


@given(STACKS, SIZES, SIZES)
def test_shrinking_keeps_the_average(images: np.ndarray, height: int, width: int) -> None:
    found = pictures.shrink(images, height, width)
    assert found.shape == (len(images), height, width, images.shape[3])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean((1, 2)), images.mean((1, 2)), atol=1e-5)


@given(STACKS)
def test_shrinking_to_the_same_size_changes_nothing(images: np.ndarray) -> None:
    np.testing.assert_allclose(pictures.shrink(images, *images.shape[1:3]), images, atol=1e-6)


@given(STACKS, SIZES, SIZES)
def test_shrinking_rows_then_columns_equals_the_naive_twin(images: np.ndarray, height: int, width: int) -> None:
    rows = np.apply_along_axis(naive_stretch, 1, images.astype(np.float64), height)
    both = np.apply_along_axis(naive_stretch, 2, rows, width)
    np.testing.assert_allclose(pictures.shrink(images, height, width), both, atol=1e-5)


@given(BYTES)
def test_luminance_is_the_mean_rounded_down(pixels: np.ndarray) -> None:
    found = pictures.luminance(pixels)
    assert found.dtype == np.uint8
    for k, y, x in np.ndindex(pixels.shape[:3]):
        assert int(found[k, y, x]) == sum(map(int, pixels[k, y, x])) // pixels.shape[3]


@pytest.mark.parametrize("levels", [2, 3, 4, 7, 256])
def test_cut_makes_equal_steps(levels: int) -> None:
    grey = np.arange(256, dtype=np.uint8)
    found = pictures.cut(grey, levels)
    assert [int(level) for level in found] == [value * levels // 256 for value in range(256)]
    assert np.ptp(np.bincount(found)) <= 1


@given(BYTES)
def test_floats_lie_between_0_and_1(pixels: np.ndarray) -> None:
    found = pictures.to_float(pixels)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.round(found * 255), pixels)
