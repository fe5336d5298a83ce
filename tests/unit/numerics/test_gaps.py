"""Gaps before the largest values, against what tails do by themselves."""

import numpy as np
import pytest

from untaint.numerics.gaps import NONE, largest_gap


def test_a_value_far_beyond_the_rest_is_seen() -> None:
    values = np.abs(np.random.default_rng(0).normal(size=1000))
    values[3] = 100.0
    found = largest_gap(values)
    assert found.count == 1
    assert found.ratio > 20
    assert found.p_value < 1e-4


@pytest.mark.parametrize("count", [2, 5])
def test_a_few_together_are_seen(count: int) -> None:
    values = np.abs(np.random.default_rng(0).normal(size=1000))
    values[:count] = 1000.0
    assert largest_gap(values).count == count


def test_more_are_a_cluster() -> None:
    values = np.abs(np.random.default_rng(0).normal(size=1000))
    values[:6] = 1000.0
    assert largest_gap(values).p_value > 0.01


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_in_a_power_tail_p_values_are_no_smaller_than_chance(power: float) -> None:
    rng = np.random.default_rng(0)
    found = np.array([largest_gap(rng.pareto(power, 500) + 1).p_value for _ in range(1000)])
    assert (found <= 0.05).mean() <= 0.065
    assert (found <= 0.005).mean() <= 0.012


@pytest.mark.parametrize("values", [np.zeros(100), np.full(100, np.nan), np.array([]), np.r_[np.zeros(99), 1.0], np.ones(25)])
def test_where_nothing_says_how_the_tail_thins_out_no_gap_is_judged(values: np.ndarray) -> None:
    assert largest_gap(values) is NONE


def test_ties_are_no_gap() -> None:
    assert largest_gap(np.random.default_rng(0).poisson(2.0, 2000).astype(float)).p_value > 0.01
