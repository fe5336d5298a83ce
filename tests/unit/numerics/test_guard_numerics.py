"""Class centres, layers in brief and what is usual of a statistic, against slower twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.numerics.centres import centres, own_and_margin
from untaint.numerics.kernel_votes import outvoted, votes
from untaint.numerics.pooled import pooled, togetherness
from untaint.numerics.usual import entropy, tail_share, usual


def naive_distances(points: np.ndarray, known: np.ndarray, labels: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances to class means, one at a time."""
    inverse = np.linalg.inv(covariance)
    means = [known[labels == code].mean(0) for code in range(labels.max() + 1)]
    return np.array([[(point - mean) @ inverse @ (point - mean) for mean in means] for point in points])


def test_distances_are_mahalanobis_where_there_is_enough_to_estimate_from() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(4, 4))
    labels = np.arange(20_000) % 3
    points = rng.normal(size=(20_000, 4)) @ mixing + 3 * labels[:, None]
    found = centres(points.astype(np.float32), labels, 3).distances(points[:50].astype(np.float32))
    np.testing.assert_allclose(found, naive_distances(points[:50], points, labels, mixing.T @ mixing), rtol=0.1, atol=0.2)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (300, 150), (30, 200)])
def test_own_class_is_nearest_on_points_it_was_fitted_to(n: int, d: int) -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(n) % 2
    points = rng.normal(size=(n, d)).astype(np.float32)
    points[labels == 1, 0] += 20
    found = centres(points, labels, 3, most=20)
    assert found.whitener.shape[1] <= 20
    own, margin = own_and_margin(found.distances(points), labels)
    assert (margin < 0).all()
    assert own.mean() < 4 * 20


def test_a_class_never_seen_cannot_be_told_and_one_class_has_no_margin() -> None:
    points = np.random.default_rng(2).normal(size=(30, 3)).astype(np.float32)
    found = centres(points, np.zeros(30, int), 2)
    own, margin = own_and_margin(found.distances(points[:2]), np.array([0, 1]))
    assert np.isfinite(own[0])
    assert margin[0] == 0
    assert np.isnan(own[1])
    assert np.isnan(margin[1])
    assert np.isfinite(centres(np.ones((9, 3), np.float32), np.zeros(9, int), 1).distances(np.ones((2, 3)))).all()


@pytest.mark.parametrize(("shape", "cells"), [((2, 3, 8, 12), 16), ((2, 3, 3, 2), 6), ((2, 64, 8, 8), 4)])
def test_maps_are_means_over_a_grid(shape: tuple[int, ...], cells: int) -> None:
    values = np.random.default_rng(3).normal(size=shape)
    found = pooled(values)
    assert found.shape == (shape[0], shape[1], cells)
    np.testing.assert_allclose(
        found[:, :, 0],
        values[:, :, : -(-shape[2] // round(cells**0.5)), : -(-shape[3] // round(cells**0.5))].mean((2, 3))
        if cells != 6
        else values[:, :, 0, 0],
    )
    if shape[2] % 2 == 0:
        np.testing.assert_allclose(found.mean(2), values.mean((2, 3)))


def test_tokens_are_means_over_stretches_and_rows_stay() -> None:
    tokens = np.arange(2 * 16 * 3, dtype=float).reshape(2, 16, 3)
    found = pooled(tokens)
    assert found.shape == (2, 3, 8)
    np.testing.assert_allclose(found[0, :, 0], tokens[0, :2].mean(0))
    np.testing.assert_allclose(pooled(tokens[:, 0]), tokens[:, 0, :, None])


@given(st.integers(0, 1000), st.sampled_from([1, 2, 3, 4]))
def test_togetherness_is_the_row_sum_of_a_gram_matrix(seed: int, order: int) -> None:
    cells = np.random.default_rng(seed).normal(size=(3, 4, 5))
    powers = np.sign(cells) * np.abs(cells) ** order
    rows = np.stack([(each @ each.T).sum(1) for each in powers])
    np.testing.assert_allclose(
        togetherness(cells, (order,)), np.sign(rows) * np.abs(rows) ** (1 / (2 * order)), rtol=1e-6, atol=1e-9
    )


def test_surprise_is_minus_the_logarithm_of_the_share_beyond() -> None:
    rng = np.random.default_rng(4)
    labels = np.arange(4000) % 2
    numbers = rng.normal(size=(4000, 2)) * [1, 5] + 10 * labels[:, None]
    known = usual(numbers, labels, 2, np.array([False, True]))
    asked = np.array([[10.0, 10.0], [12.33, 21.6], [7.67, -1.6]])
    found = known.surprise(asked, np.ones(3, int))
    assert found[0, 0] == pytest.approx(-np.log(0.5), abs=0.1)
    assert found[1] == pytest.approx(-np.log([0.01, 0.02]), abs=0.5)
    assert found[2, 1] == pytest.approx(-np.log(0.02), abs=0.5)
    assert found[2, 0] < 0.05
    far = known.surprise(np.array([[60.0, 60.0], [np.inf, -np.inf], [np.nan, 0]]), np.ones(3, int))
    assert (far[:2] > 10).all()
    assert np.isfinite(far[:2]).all()
    assert np.isnan(far[2, 0])


def test_a_class_without_references_is_judged_as_all_are() -> None:
    numbers = np.random.default_rng(5).normal(size=(200, 1))
    known = usual(numbers, np.zeros(200, int), 3, np.array([False]))
    np.testing.assert_allclose(
        known.surprise(numbers[:5], np.full(5, 2)), known.surprise(numbers[:5], np.zeros(5, int)), rtol=0.3, atol=0.3
    )


@pytest.mark.parametrize("numbers", [np.zeros((30, 1)), np.full((30, 1), np.nan)])
def test_numbers_that_are_all_one_or_none_surprise_nobody(numbers: np.ndarray) -> None:
    known = usual(numbers, np.zeros(30, int), 1, np.array([True]))
    found = known.surprise(numbers, np.zeros(30, int))
    assert not (found > 1).any()


def test_entropy_and_tail_share() -> None:
    np.testing.assert_allclose(entropy(np.array([[0.0, 0.0], [1000.0, 0.0]])), [np.log(2), 0], atol=1e-9)
    known = np.random.default_rng(6).exponential(size=20_000)
    np.testing.assert_allclose(tail_share(np.array([0.7, 3.0, 7.0]), known), np.exp([-0.7, -3, -7]), rtol=0.3)
    assert (np.diff(tail_share(np.linspace(0, 40, 100), known)) <= 0).all()


def test_votes_are_those_of_kernel_ridge_regression() -> None:
    rng = np.random.default_rng(7)
    points, labels = rng.normal(size=(60, 3)).astype(np.float32), rng.integers(0, 3, 60)
    known, asked = votes(points, labels, 3), rng.normal(size=(5, 3)).astype(np.float32)

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.array([[np.exp(-float(known.gamma) * ((one - other) ** 2).sum()) for other in right] for one in left])

    weights = np.linalg.inv(kernel(points, points) + 1e-3 * 60 * np.eye(60)) @ (np.eye(3)[labels] - 1 / 3)
    np.testing.assert_allclose(known(asked), 1 / 3 + kernel(asked, points) @ weights, atol=1e-3)
    np.testing.assert_allclose(known(np.full((1, 3), 1e3, np.float32)), 1 / 3, atol=1e-6)


def test_a_point_among_others_of_another_class_is_outvoted() -> None:
    rng = np.random.default_rng(8)
    labels = np.arange(100) % 2
    points = (rng.normal(size=(100, 2)) * 0.3 + 3 * labels[:, None]).astype(np.float32)
    found = outvoted(votes(points, labels, 2)(points), labels)
    assert (found < -0.5).all()
    assert (outvoted(votes(points, labels, 2)(points), 1 - labels) > 0.5).all()
    assert np.isfinite(votes(np.ones((10, 2), np.float32), np.zeros(10, int), 2)(np.ones((1, 2), np.float32))).all()
