"""A small network learns what no line parts, the same way every time, and bears what it cannot learn."""

import numpy as np
from scipy.special import softmax

from untaint.numerics.perceptron import Perceptron


def by_row(said: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(said, axis=1))


def crossed(count: int = 800) -> tuple[np.ndarray, np.ndarray]:
    """Points of two classes, each in two opposite corners."""
    points = np.random.default_rng(0).normal(size=(count, 2))
    return points, (points.prod(1) > 0).astype(int)


def test_it_learns_what_no_line_parts() -> None:
    points, labels = crossed()
    said = Perceptron().outputs(points, np.eye(2)[labels], by_row, points)
    assert (said.argmax(1) == labels).mean() > 0.9


def test_it_repeats_itself() -> None:
    points, labels = crossed(100)
    first, second = (Perceptron(seed=3).outputs(points, np.eye(2)[labels], by_row, points) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, Perceptron(seed=4).outputs(points, np.eye(2)[labels], by_row, points))


def test_it_learns_quantities() -> None:
    points = np.random.default_rng(1).normal(size=(500, 3))
    said = Perceptron().outputs(points, points.sum(1, keepdims=True), lambda said: said, points)
    assert np.corrcoef(said[:, 0], points.sum(1))[0, 1] > 0.98


def test_numbers_beyond_all_bounds_are_borne() -> None:
    points, labels = crossed(100)
    points[7] = 1e200
    assert Perceptron().outputs(points, np.eye(2)[labels], by_row, points).shape == (100, 2)
