"""Coarse partitions."""

import numpy as np
import pytest

from untaint.numerics import clusters


def blobs(each: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    places = np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0], [0, 0, 20]], np.float32)
    kinds = np.repeat(np.arange(4), each)
    return (places[kinds] + rng.standard_normal((4 * each, 3))).astype(np.float32), kinds


def test_no_cluster_holds_points_of_two_far_crowds() -> None:
    points, kinds = blobs()
    found = clusters.centres(points, 16, np.random.default_rng(0))
    mine = clusters.nearest(points, found, 1)[:, 0]
    assert found.shape == (16, 3)
    assert all(len(set(kinds[mine == number])) <= 1 for number in range(16))
    for number in np.unique(mine):
        np.testing.assert_allclose(found[number], points[mine == number].mean(0), atol=0.5)


def test_the_nearest_are_those_of_the_smallest_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    points, found = rng.standard_normal((50, 4)).astype(np.float32), rng.standard_normal((9, 4)).astype(np.float32)
    monkeypatch.setattr(clusters, "_BATCH", 7)
    expected = np.sort(np.linalg.norm(points[:, None] - found, axis=2).argsort(1)[:, :3], axis=1)
    np.testing.assert_array_equal(np.sort(clusters.nearest(points, found, 3), axis=1), expected)


@pytest.mark.parametrize("points", [np.ones((5, 3), np.float32), blobs(1)[0]])
def test_more_clusters_than_points_and_equal_points_are_no_harm(points: np.ndarray) -> None:
    found = clusters.centres(points, 7, np.random.default_rng(0))
    assert np.isfinite(found).all()
    assert clusters.nearest(points, found, 7).shape == (len(points), 7)
    assert {tuple(row) for row in points} == {tuple(row) for row in found}


def test_the_points_are_not_touched() -> None:
    points, _ = blobs(20)
    before = points.copy()
    clusters.centres(points, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(points, before)
