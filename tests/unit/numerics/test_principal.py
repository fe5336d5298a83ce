"""Distances are kept as far as the directions kept hold them."""

import numpy as np

from untaint.numerics.principal import leading


def test_the_leading_coordinates_hold_the_most_variance() -> None:
    points = np.random.default_rng(0).normal(size=(200, 6)) @ np.diag([9, 7, 1, 0.5, 0.1, 0.1])
    found = leading(points, 2)
    _, values, _ = np.linalg.svd(points - points.mean(0))
    np.testing.assert_allclose(np.sort((found**2).sum(0)), np.sort(values[:2] ** 2))


def test_all_coordinates_keep_all_distances() -> None:
    points = np.random.default_rng(1).normal(size=(30, 4))
    found = leading(points, 9)
    assert found.shape == (30, 4)
    np.testing.assert_allclose(np.linalg.norm(found[0] - found[1:], axis=1), np.linalg.norm(points[0] - points[1:], axis=1))
