"""Rectangles, shifts and flips against naive twins."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from untaint.numerics import occluded


@given(st.integers(0, 1000), st.integers(0, 3))
def test_shifts_equal_their_naive_twin(seed: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    images, moves = rng.random((3, 6, 5, 2)), rng.integers(-reach, reach + 1, (3, 2))
    found = occluded.shifted(images, moves)

    def mirrored(place: int, size: int) -> int:
        return -place if place < 0 else 2 * (size - 1) - place if place >= size else place

    for n, y, x in np.ndindex(3, 6, 5):
        source = mirrored(y - moves[n, 0], 6), mirrored(x - moves[n, 1], 5)
        np.testing.assert_array_equal(found[n, y, x], images[n, source[0], source[1]])


@given(st.integers(0, 1000))
def test_rectangles_equal_their_naive_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    areas, centres = rng.random(4), rng.random((4, 2))
    found = occluded.rectangles((7, 5), areas, centres)
    for n, y, x in np.ndindex(4, 7, 5):
        within = [
            abs(place + 0.5 - centre * size) <= np.sqrt(areas[n]) * size / 2
            for place, centre, size in ((y, centres[n, 0], 7), (x, centres[n, 1], 5))
        ]
        assert found[n, y, x] == all(within)


def test_a_shift_beyond_a_tiny_image_repeats_its_edge() -> None:
    found = occluded.shifted(np.arange(4.0).reshape(1, 2, 2, 1), np.array([[3, 0]]))
    assert found[0, :, :, 0].tolist() == [[0, 1], [0, 1]]


def test_only_those_named_are_mirrored() -> None:
    images = np.arange(12.0).reshape(2, 2, 3, 1)
    found = occluded.mirrored(images, np.array([False, True]))
    np.testing.assert_array_equal(found[0], images[0])
    np.testing.assert_array_equal(found[1], images[1][:, ::-1])
