"""Gaps before the largest values, against what tails do by themselves."""

from collections.abc import Callable

import numpy as np
import pytest

from untaint.numerics.gaps import NONE, beyond, largest_gap


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


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.pareto(0.6, 400) + 1,
        lambda rng: rng.standard_cauchy(400),
        lambda rng: rng.standard_t(2, 400),
        lambda rng: np.exp(2 * rng.normal(size=400)),
        lambda rng: rng.zipf(2.0, 400).astype(float),
        lambda rng: np.exp(np.clip(rng.standard_cauchy(400), -300, 300)),
    ],
)
def test_honest_tails_have_no_smaller_p_values_than_chance(draw: Callable[[np.random.Generator], np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    found = np.array([largest_gap(np.abs(draw(rng)), 5.0).p_value for _ in range(200)])
    assert (found <= 0.01).sum() <= 6
    assert (found <= 0.001).sum() <= 1


def test_the_law_is_found_whatever_the_zero_and_the_unit() -> None:
    values = np.random.default_rng(0).exponential(size=600)
    values[5] = 300.0
    plain, moved = largest_gap(values).p_value, largest_gap(1e6 + 1e3 * values).p_value
    assert abs(np.log(plain / moved)) < 0.2


def test_equal_values_say_as_much_as_their_step_is_fine() -> None:
    few = np.repeat([0.0, 1.0], [700, 300])
    assert 1e-3 < beyond(few, 10.0) < 0.1
    assert beyond(np.random.default_rng(0).poisson(1.5, 1000).astype(float), 10.0) < 1e-5


def test_what_a_tail_would_hide() -> None:
    rng = np.random.default_rng(0)
    assert beyond(np.abs(rng.normal(size=1000)), 10.0) < 1e-4
    assert beyond(np.abs(rng.standard_cauchy(600)), 10.0) > 0.01
    assert beyond(np.full(9, np.nan), 10.0) == 1.0


@pytest.mark.parametrize("values", [np.zeros(100), np.full(100, np.nan), np.array([]), np.r_[np.zeros(99), 1.0], np.arange(26.0)])
def test_where_nothing_says_how_the_tail_thins_out_no_gap_is_judged(values: np.ndarray) -> None:
    assert largest_gap(values) is NONE


@pytest.mark.parametrize(("values", "count"), [([1.0] * 8 + [100.0], 1), ([2.0, 3, 4, 5, 6, 90, 95], 2), ([1.0] * 8 + [9.0], 0)])
def test_a_tenfold_gap_among_few_values_is_named_and_not_judged(values: list[float], count: int) -> None:
    found = largest_gap(np.r_[np.zeros(500), values], 5.0)
    assert (found.count, found.p_value) == (count, 1.0)


def test_ties_are_no_gap() -> None:
    assert largest_gap(np.random.default_rng(0).poisson(2.0, 2000).astype(float)).p_value > 0.01
