"""Copies that were shifted lie on each other again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.numerics import alignment


def shape_on(background: int, row: int, column: int, channels: int = 1) -> np.ndarray:
    """An uneven shape of 5x4 pixels on a flat image of 17x15."""
    image = np.full((1, 17, 15, channels), background, np.uint8)
    shape = np.array([[255, 255, 255, 255], [255, 0, 0, 0], [255, 255, 255, 0], [255, 0, 0, 0], [255, 0, 0, 0]], np.uint8)
    image[0, row : row + 5, column : column + 4] = np.where(shape, 255, background)[:, :, None]
    return image


@given(st.integers(1, 11), st.integers(1, 10), st.sampled_from((0, 100)), st.sampled_from((1, 3)))
def test_shifted_copies_align(row: int, column: int, background: int, channels: int) -> None:
    at_rest = alignment.centred(shape_on(background, 6, 5, channels))
    np.testing.assert_array_equal(alignment.centred(shape_on(background, row, column, channels)), at_rest)


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_shifted_copies_of_a_symmetric_shape_align(side: int) -> None:
    found = []
    for row, column in np.ndindex(6, 6):
        image = np.zeros((1, 12, 11, 1), np.uint8)
        image[0, 1 + row : 1 + row + side, 1 + column : 1 + column + side] = 255
        found.append(alignment.centred(image))
    assert all(np.array_equal(image, found[0]) for image in found)
    assert int(found[0].sum()) == 255 * side * side


def test_the_centre_of_mass_comes_to_the_middle() -> None:
    found = alignment.centred(shape_on(0, 1, 10))[0, :, :, 0].astype(float)
    rows, columns = np.indices(found.shape)
    assert (rows * found).sum() / found.sum() == pytest.approx(8, abs=0.51)
    assert (columns * found).sum() / found.sum() == pytest.approx(7, abs=0.51)


def test_each_image_is_moved_by_its_own_shift() -> None:
    together = np.concatenate([shape_on(0, 1, 2), shape_on(0, 9, 9), shape_on(50, 0, 11)])
    apart = np.concatenate([alignment.centred(image[None]) for image in together])
    np.testing.assert_array_equal(alignment.centred(together), apart)


@pytest.mark.parametrize("image", [np.full((2, 6, 7, 1), 90, np.uint8), 90 + np.arange(30, dtype=np.uint8).reshape(1, 5, 6, 1)])
def test_flat_and_faint_images_stay_where_they_are(image: np.ndarray) -> None:
    np.testing.assert_array_equal(alignment.centred(image), image)
