"""Small moves cost nothing, other images do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate, shift

from untaint.numerics.registration import misfit


def blob(seed: int, side: int = 28) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 3).astype(np.float32)


def against(first: np.ndarray, second: np.ndarray, border: int = 4) -> float:
    return float(misfit(np.stack([first, second]), np.array([[1], [0]]), border)[0, 0])


@pytest.mark.parametrize(
    "moved",
    [
        lambda image: shift(image, (0.5, -0.5), mode="nearest"),
        lambda image: rotate(image, 2, reshape=False, mode="nearest"),
        lambda image: 0.5 * image + 3,
    ],
)
def test_moved_turned_or_re_exposed_is_a_fit(moved: object) -> None:
    image = blob(0)
    copy = moved(image)  # type: ignore[operator]
    assert against(image, copy) < 0.15
    assert against(image, blob(1)) > 0.7


def test_an_image_fits_itself() -> None:
    assert against(blob(0), blob(0)) < 0.02


def test_a_blank_image_fits_nothing() -> None:
    assert against(np.zeros((28, 28), np.float32), blob(0)) == 1


def test_what_lies_in_the_border_does_not_count() -> None:
    image, other = blob(0), blob(0)
    other[:4] = 9
    assert against(image, other, 6) < 0.02 < against(image, other, 0)
