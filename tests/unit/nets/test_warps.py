"""A warp looked for through a network whose classes differ by where a bar stands."""

import numpy as np

from untaint.nets import training
from untaint.nets.fit import FitPlan, fit
from untaint.nets.warps import bent_towards
from untaint.numerics.warps import resampled

N, SIDE = 600, 16


def bars(column: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n, 16, 16, 1) a vertical bar two pixels wide on dark noise."""
    pixels = rng.integers(0, 60, (len(column), SIDE, SIDE, 1), np.uint8)
    for image, at in zip(pixels, column, strict=True):
        image[:, at : at + 2] = 220
    return pixels


def test_the_warp_moves_what_decides_the_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    pixels = bars(np.where(labels == 1, 8, 6), rng)
    net = fit(training.proxy_spec(pixels, 2), pixels, labels, np.arange(N), FitPlan(steps=60, min_epochs=4)).net
    weights = {name: value.numpy() for name, value in net.state_dict().items()}
    left = bars(np.full(200, 6), rng)
    assert (training.answers(weights, left) == 0).mean() > 0.95

    steps = bent_towards(weights, left[:150], 1, seed=0)

    assert steps.shape == (SIDE, SIDE, 2)
    assert (training.answers(weights, resampled(left[150:], steps[None])) == 1).mean() > 0.9
    assert steps[:, 5:10, 1].mean() < -0.5  # pixels come from the left: the bar moves right
    assert np.array_equal(steps, bent_towards(weights, left[:150], 1, seed=0))


def test_resampling_by_whole_steps_moves_pixels_and_repeats_the_edge() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1)
    for cubic in (False, True):
        moved = resampled(image, np.broadcast_to(np.array([0.0, 1.0]), (1, 3, 4, 2)), cubic=cubic)
        assert moved[0, :, :, 0].tolist() == [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]


def test_resampling_by_half_a_step_is_the_mean_of_two() -> None:
    image = np.array([[0, 100, 200, 100]], np.uint8).reshape(1, 1, 4, 1)
    moved = resampled(image, np.broadcast_to(np.array([0.0, 0.5]), (1, 1, 4, 2)))
    assert moved.ravel().tolist() == [50, 150, 150, 100]
