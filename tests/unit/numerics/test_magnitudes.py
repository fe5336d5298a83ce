"""What sizes are usual, and how rows lie to others."""

import numpy as np
import pytest

from untaint.numerics.leverage import leverages, whitener
from untaint.numerics.magnitudes import limits

RNG = np.random.default_rng(2)


def naive(sizes: np.ndarray) -> float:
    """The limit of one column, written out."""
    logs = sorted(np.log(size) for size in sizes.tolist() if 0 < size < np.inf)
    if len(logs) < 20:
        return float("inf")
    middle, high = logs[int(0.5 * (len(logs) - 1))], logs[int(0.95 * (len(logs) - 1))]
    return float(np.exp(high + 3 * (high - middle)) * 8)


@pytest.mark.parametrize("rows", [5, 19, 20, 21, 100, 333])
def test_limits_are_those_written_out(rows: int) -> None:
    sizes = np.abs(RNG.standard_t(2, (rows, 4)))
    sizes[:3, 0], sizes[3, 1], sizes[::2, 2] = 0, np.inf, np.nan
    np.testing.assert_allclose(limits(sizes), [naive(column[~np.isnan(column)]) for column in sizes.T])


def test_a_twentieth_of_the_sizes_cannot_raise_the_limit_beyond_the_honest_rest() -> None:
    sizes = np.abs(RNG.normal(size=(1000, 1)))
    spoiled = sizes.copy()
    spoiled[:49] = 1e30
    assert limits(spoiled)[0] < 10 * limits(sizes)[0]


@pytest.mark.parametrize("seed", range(5))
def test_cauchy_numbers_are_hardly_ever_beyond(seed: int) -> None:
    sizes = np.abs(np.random.default_rng(seed).standard_cauchy((200_000, 1)))
    assert float((sizes > limits(sizes[:2048])).mean()) < 2e-5


def test_leverage_is_the_distance_of_mahalanobis() -> None:
    rows = RNG.normal(size=(500, 4)) @ RNG.normal(size=(4, 4))
    away = rows - rows.mean(axis=0)
    white = whitener(away)
    assert white is not None
    expected = np.einsum("ij,jk,ik->i", away, np.linalg.inv(np.cov(away, rowvar=False, bias=True)), away) / 4
    np.testing.assert_allclose(leverages(away, white), expected, rtol=1e-3)


def test_a_constant_column_and_rows_that_are_no_numbers_do_no_harm() -> None:
    away = np.column_stack([RNG.normal(size=(100, 2)), np.zeros(100)])
    away[3, 0] = np.nan
    white = whitener(away)
    assert white is not None
    assert np.isfinite(white).all()
    assert whitener(away[:14]) is None
