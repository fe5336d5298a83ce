"""JPEG's losses against a naive twin and against a JPEG library."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from untaint.numerics import compressed


def naive(block: np.ndarray, step: np.ndarray) -> np.ndarray:
    """One 8x8 block of levels around 0, by the sums of T.81, A.3.3."""
    waves = np.zeros((8, 8))
    scale = [np.sqrt(1 / 8)] + [np.sqrt(2 / 8)] * 7

    def wave(k: int, x: int) -> float:
        return float(scale[k] * np.cos((2 * x + 1) * k * np.pi / 16))

    for u, v in np.ndindex(8, 8):
        waves[u, v] = sum(block[y, x] * wave(u, y) * wave(v, x) for y, x in np.ndindex(8, 8))
    waves = np.round(waves / step) * step
    return np.array(
        [[sum(waves[u, v] * wave(u, y) * wave(v, x) for u, v in np.ndindex(8, 8)) for x in range(8)] for y in range(8)]
    )


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 100))
def test_a_block_equals_its_naive_twin(seed: int, quality: int) -> None:
    image = np.random.default_rng(seed).random((1, 8, 8, 1)).astype(np.float32)
    step = compressed.steps(compressed._GREY, np.array([quality]))[0]
    expected = np.clip((naive(np.round(image[0, :, :, 0] * 255) - 128, step) + 128) / 255, 0, 1)
    found = compressed.compressed(image, np.array([quality]))[0, :, :, 0]
    assert (np.abs(found - expected) > 1e-3).mean() < 0.2  # a wave on the edge between two steps may fall to either side


@pytest.mark.parametrize("quality", [10, 50, 75, 95])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_loses_what_a_library_loses(quality: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(30, 225, (5, 4, channels)), np.ones((8, 8, 1))) + rng.normal(0, 8, (40, 32, channels))
    image = np.clip(smooth, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality, subsampling=0)
    expected = np.asarray(Image.open(file)).reshape(image.shape)
    found = compressed.compressed(image[None] / 255, np.array([quality]))[0] * 255
    assert np.abs(found - expected).mean() < 1.0


def test_each_row_has_its_own_quality_and_shape_is_kept() -> None:
    images = np.random.default_rng(0).random((2, 13, 10, 3)).astype(np.float32)
    found = compressed.compressed(images, np.array([5, 100]))
    assert found.shape == images.shape
    assert np.abs(found - images)[0].mean() > 10 * np.abs(found - images)[1].mean()
    np.testing.assert_allclose(found[1], compressed.compressed(images[1:], np.array([100]))[0], atol=1e-6)


def test_quality_scales_the_tables_as_the_library_says() -> None:
    low, middle, high = compressed.steps(compressed._GREY, np.array([1, 50, 100]))
    assert low.max() == 255
    np.testing.assert_array_equal(middle, compressed._GREY)
    np.testing.assert_array_equal(high, 1)
