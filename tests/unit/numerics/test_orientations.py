"""Edges by direction and cell, against one picture worked out pixel by pixel."""

from math import atan2, cos, exp, hypot, pi, sqrt

import numpy as np
import pytest

from untaint.numerics.orientations import DIRECTIONS, orientations


def naive(picture: np.ndarray) -> np.ndarray:
    """Of a grey picture (h, w), in loops."""
    height, width = picture.shape
    side = max(2, round(min(height, width) / 7))
    bell = [exp(-(k**2) / 2) for k in range(-3, 4)]
    bell = [value / sum(bell) for value in bell]
    slope = [k * value for k, value in zip(range(-3, 4), bell, strict=True)]  # derivative, mirrored by the correlation

    def at(i: int, j: int) -> float:
        return float(picture[min(max(i, 0), height - 1), min(max(j, 0), width - 1)])

    def gradient(i: int, j: int) -> tuple[float, float]:
        window = [(a, b, at(i + a, j + b)) for a in range(-3, 4) for b in range(-3, 4)]
        down = sum(slope[a + 3] * bell[b + 3] * value for a, b, value in window)
        right = sum(bell[a + 3] * slope[b + 3] * value for a, b, value in window)
        return down, right

    rows, columns = max(1, round(height / side)), max(1, round(width / side))
    cells = np.zeros((DIRECTIONS, rows, columns))
    for i in range(height):
        for j in range(width):
            down, right = gradient(i, j)
            strength, angle = hypot(down, right), atan2(down, right)
            for direction in range(DIRECTIONS):
                along = max(0.0, cos(angle - direction * 2 * pi / DIRECTIONS))
                value = along**4 * strength**4 / (strength + 1e-3) ** 3
                for r in range(rows):
                    for c in range(columns):
                        near = [1 - abs(p - (q * side + (side - 1) / 2)) / side for p, q in ((i, r), (j, c))]
                        cells[direction, r, c] += max(0.0, near[0]) * max(0.0, near[1]) * value
    found = np.array([sqrt(value) for value in cells.ravel()])
    return found / np.linalg.norm(found)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (15, 9)])
def test_it_is_what_the_loops_say(height: int, width: int) -> None:
    picture = np.random.default_rng(0).random((height, width)).astype(np.float32)
    np.testing.assert_allclose(orientations(picture[None])[0], naive(picture), atol=2e-4)


def test_a_picture_does_not_depend_on_its_company() -> None:
    many = np.random.default_rng(1).random((300, 12, 12, 3)).astype(np.float32)
    whole = orientations(many)
    assert whole[260:261].tobytes() == orientations(many[260:261]).tobytes()
    assert whole[7].tobytes() == orientations(many[5:9])[2].tobytes()


def test_brightness_and_contrast_count_for_little_in_grey_pictures() -> None:
    picture = np.random.default_rng(2).random((1, 28, 28)).astype(np.float32)
    np.testing.assert_allclose(orientations(picture * 0.5 + 0.3), orientations(picture), atol=0.02)
    assert np.linalg.norm(orientations(picture)) == pytest.approx(1, abs=1e-3)
    assert not orientations(np.full((1, 28, 28), 0.4, np.float32)).any()


def test_colours_are_told_apart() -> None:
    red, blue = np.zeros((2, 1, 14, 14, 3), np.float32)
    red[..., 0] = blue[..., 2] = 1
    assert np.abs(orientations(red) - orientations(blue)).max() > 0.05
    assert orientations(red).shape == (1, 7 * 7 * (DIRECTIONS + 3))
    assert np.linalg.norm(orientations(np.ones((1, 14, 14, 3), np.float32))) == pytest.approx(1, abs=1e-3)


def test_no_pictures_and_tiny_ones() -> None:
    assert orientations(np.zeros((0, 28, 28), np.float32)).shape == (0, 49 * DIRECTIONS)
    assert np.isfinite(orientations(np.eye(2, dtype=np.float32)[None])).all()
    assert np.isfinite(orientations(np.ones((1, 1, 1), np.float32))).all()
