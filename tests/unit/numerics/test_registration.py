"""Small moves cost nothing, other images do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate, shift

from untaint.numerics.registration import misfit, misfit_moved


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


@pytest.mark.parametrize("move", [(0, 0), (3, -4), (-4, 4)])
def test_a_move_by_whole_cells_is_undone(move: tuple[int, int]) -> None:
    large = gaussian_filter(np.random.default_rng(2).normal(size=(36, 36)), 1.5).astype(np.float32)
    image, moved = large[4:32, 4:32], large[4 + move[0] : 32 + move[0], 4 + move[1] : 32 + move[1]]
    pair, neighbours = np.stack([image, moved]), np.array([[1], [0]])
    assert misfit_moved(pair, neighbours, 4).max() < 0.02
    assert move == (0, 0) or misfit(pair, neighbours, 4).min() > 0.3


def test_moved_images_are_measured_by_the_best_move() -> None:
    images = np.stack([blob(seed, 12) for seed in range(6)])
    neighbours = np.array([[(row + step) % 6 for step in (1, 2, 3)] for row in range(6)])
    got = misfit_moved(images, neighbours, 2)
    for row, place in np.ndindex(got.shape):
        target = images[neighbours[row, place]][2:-2, 2:-2]
        target = (target - target.mean()) / np.linalg.norm(target - target.mean())
        down, across = np.gradient(images[row])
        axis = np.arange(12) - 5.5
        planes = [down, across, axis[:, None] * across - axis * down, images[row]]

        def window(plane: np.ndarray, r: int, c: int) -> np.ndarray:
            cut = plane[r : r + 8, c : c + 8].ravel()
            return (cut - cut.mean()) / np.linalg.norm(cut - cut.mean())

        cells = list(np.ndindex(5, 5))
        r, c = cells[int(np.argmax([window(images[row], *cell) @ target.ravel() for cell in cells]))]
        basis = np.stack([window(plane, r, c) for plane in planes])
        fitted = basis @ target.ravel()
        left = 1 - fitted @ np.linalg.solve(basis @ basis.T + 1e-4 * np.eye(4), fitted)
        assert got[row, place] == pytest.approx(np.sqrt(max(left, 0)), abs=2e-3)
