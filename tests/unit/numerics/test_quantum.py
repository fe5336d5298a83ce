"""Quantum entropy scores, against their formula written out and on clouds with intruders."""

import numpy as np
from scipy.linalg import expm

from untaint.numerics import quantum


def cloud(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ np.diag(1 + np.arange(d) / 2)


def test_scores_are_the_formula_of_the_paper() -> None:
    whitened = np.random.default_rng(0).standard_normal((300, 4)) * np.array([1, 1, 2, 3])
    covariance = whitened.T @ whitened / len(whitened)
    covariance /= np.median(np.linalg.eigvalsh(covariance))
    excess = covariance - np.eye(4)
    weights = expm(4 * excess / np.abs(np.linalg.eigvalsh(excess)).max())
    expected = np.einsum("ni,ij,nj->n", whitened, weights, whitened) / np.trace(weights)
    np.testing.assert_allclose(quantum.scores(whitened), expected, rtol=1e-9)


def test_leading_directions_hold_the_largest_variances() -> None:
    found = quantum.leading(cloud(500, 6).astype(np.float32), 2)
    assert found.shape == (500, 2)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(found, axis=0) ** 2, np.linalg.eigvalsh(np.cov(cloud(500, 6).T) * 499)[::-1][:2], rtol=1e-4
    )


def test_the_bulk_is_found_where_intruders_are_not() -> None:
    points = cloud(1000, 5)
    points[:150] += 15
    found = quantum.bulk(points)
    np.testing.assert_allclose(found.centre, 0, atol=0.6)
    assert np.linalg.norm(points.mean(0)) > 4  # what the plain mean makes of them


def test_intruders_along_two_lines_stand_out_together() -> None:
    """A tenth of the cloud, half of it far out along one line and half along another: neither line alone tells all of them."""
    points = cloud(1000, 8)
    points[:50, 0] += 12
    points[50:100, 1] += 14
    scores = quantum.scores(quantum.bulk(points).whitened(points))
    assert np.sort(np.argsort(-scores)[:90]).max() < 100


def test_scores_do_not_hang_on_the_axes_the_cloud_comes_in() -> None:
    points = cloud(400, 5)
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))
    here, there = (quantum.scores(quantum.bulk(each).whitened(each)) for each in (points, points @ turn + 7))
    np.testing.assert_allclose(here, there, rtol=1e-6)


def test_a_cloud_without_extent_scores_nothing_and_breaks_nothing() -> None:
    points = np.zeros((40, 3))
    assert np.isfinite(quantum.scores(quantum.bulk(points).whitened(points))).all()
