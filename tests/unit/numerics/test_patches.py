"""From a code to the patch around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.numerics import patches

REACH, SIDE = 3, 9


def noise(n: int = 40, size: int = 14, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_windows_equal_their_naive_twin(seed: int, m: int) -> None:
    grey = noise(5, 7, seed)
    rng = np.random.default_rng(seed)
    rows, corners = rng.integers(0, 5, m), rng.integers(0, 5, (m, 2))
    found = patches.windows(grey, rows, corners)
    assert found.shape == (m, SIDE, SIDE)
    for k, y, x in np.ndindex(found.shape):
        row, column = corners[k, 0] + y - REACH, corners[k, 1] + x - REACH
        inside = 0 <= row < 7 and 0 <= column < 7
        assert found[k, y, x] == (grey[rows[k], row, column] if inside else -1)


def planted(trigger: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    grey = noise()
    grey[:, place[0] : place[0] + len(trigger), place[1] : place[1] + trigger.shape[1]] = trigger
    return grey


def recovered(grey: np.ndarray, corner: tuple[int, int]) -> patches.Patch | None:
    corners = np.tile(corner, (len(grey), 1))
    rows = np.arange(len(grey))
    return patches.recover(patches.windows(grey, rows, corners), patches.windows(noise(seed=1), rows, corners))


@pytest.mark.parametrize("size", [3, 4, 5])
@pytest.mark.parametrize("place", [(0, 0), (4, 6), (9, 9)])
def test_a_planted_square_is_recovered_whole(size: int, place: tuple[int, int]) -> None:
    trigger = np.where(np.indices((size, size)).sum(0) % 2, 255, 20).astype(np.uint8)
    found = recovered(planted(trigger, place), place)
    assert found is not None
    expected = np.zeros((SIDE, SIDE), bool)
    expected[REACH : REACH + size, REACH : REACH + size] = True
    np.testing.assert_array_equal(found.mask, expected)
    np.testing.assert_array_equal(found.values[found.mask], trigger.ravel())


def test_noise_has_no_patch() -> None:
    assert recovered(noise(seed=2), (5, 5)) is None


def test_what_comparable_images_show_too_is_background() -> None:
    black = np.zeros((30, 14, 14), np.uint8)
    rows, corners = np.arange(30), np.tile((5, 5), (30, 1))
    same = patches.windows(black, rows, corners)
    assert patches.recover(same, same) is None
    alone = patches.recover(same, same[:0])
    assert alone is not None
    assert alone.mask.all()


def test_windows_that_show_the_patch_are_told_from_those_that_do_not() -> None:
    trigger = np.where(np.indices((3, 3)).sum(0) % 2, 255, 20).astype(np.uint8)
    grey = planted(trigger, (5, 5))
    found = recovered(grey, (5, 5))
    assert found is not None
    corners = np.tile((5, 5), (len(grey), 1))
    rows = np.arange(len(grey))
    assert found.shown(patches.windows(grey, rows, corners)).all()
    assert not found.shown(patches.windows(noise(seed=3), rows, corners)).any()
    assert not found.shown(patches.windows(grey, rows, corners + 1)).any()


@given(st.integers(0, 7), st.integers(0, 5))
def test_a_mask_is_laid_where_its_corner_is(row: int, column: int) -> None:
    found = patches.placed(patches.CORE, np.array([row, column]), (10, 8))
    expected = np.zeros((10, 8))
    expected[row : row + 3, column : column + 3] = 1
    np.testing.assert_array_equal(found, expected)


def test_what_lies_outside_the_image_is_cut_off() -> None:
    found = patches.placed(np.ones((SIDE, SIDE), bool), np.array([0, 0]), (10, 10))
    assert found[:6, :6].all()
    assert found.sum() == 36
