"""How much rows count under bounded losses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.numerics import bounded

WILD = [1e3, 1e30, np.inf, -np.inf, np.nan]


@given(st.integers(0, 500), st.floats(0, 1))
def test_surprise_and_belief_equal_their_naive_twin(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    logits, codes = rng.normal(size=(6, 4)) * 5, rng.integers(0, 4, 6)
    surprises = bounded.surprise(logits, codes)
    factors = bounded.believed(surprises, power)
    for row in range(6):
        p = math.exp(logits[row, codes[row]]) / sum(math.exp(value) for value in logits[row])
        assert surprises[row] == pytest.approx(-math.log(p), abs=1e-9)
        assert factors[row] == pytest.approx(p**power)


def test_the_factor_is_the_slope_of_the_bounded_loss_over_that_of_the_plain_one() -> None:
    step, q = 1e-6, 0.7
    for p in (0.05, 0.4, 0.9):
        slope = ((1 - (p + step) ** q) - (1 - (p - step) ** q)) / q / (2 * step)
        plain = -1 / p
        assert bounded.believed(np.array([-math.log(p)]), q)[0] == pytest.approx(slope / plain, rel=1e-5)


def test_probabilities_as_codes_give_the_same() -> None:
    logits, codes = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 2, 1, 0])
    np.testing.assert_allclose(bounded.surprise(logits, np.eye(3)[codes]), bounded.surprise(logits, codes), atol=1e-12)


def test_a_soft_row_that_is_read_as_it_says_surprises_nobody() -> None:
    shares = np.array([[0.6, 0.3, 0.1]])
    assert bounded.surprise(np.log(shares) + 7, shares)[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("bad", WILD)
def test_a_wild_row_counts_nothing_and_changes_no_other(bad: float) -> None:
    logits, codes = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 2, 1, 0])
    spoiled = logits.copy()
    spoiled[2, 1] = bad
    before, after = (bounded.believed(bounded.surprise(each, codes), 0.7) for each in (logits, spoiled))
    np.testing.assert_array_equal(np.delete(after, 2), np.delete(before, 2))
    assert after[2] < 1e-3
    assert np.isfinite(after).all()


@pytest.mark.parametrize("code", [-1, 3, 99])
def test_a_code_that_no_output_stands_for_counts_nothing(code: int) -> None:
    assert bounded.surprise(np.zeros((1, 3)), np.array([code]))[0] == np.inf


@given(st.integers(0, 500), st.floats(0.1, 3))
def test_huber_equals_its_naive_twin(seed: int, width: float) -> None:
    residuals = np.random.default_rng(seed).normal(size=9) * 10
    limit = width * 1.4826 * sorted(abs(value) for value in residuals)[4]
    expected = [1.0 if abs(value) <= limit else limit / abs(value) for value in residuals]
    np.testing.assert_allclose(bounded.within(residuals, width), expected)


def test_huber_on_wild_and_on_perfect_rows() -> None:
    found = bounded.within(np.array([1.0, -2.0, 3.0, np.nan, np.inf, 1e300]), 1.345)
    assert np.isfinite(found).all()
    assert found[3] == found[4] == 0
    assert found[5] < 1e-250
    np.testing.assert_array_equal(bounded.within(np.array([0.0, 0.0, 5.0]), 1.0), 1.0)
    np.testing.assert_array_equal(bounded.within(np.full(2, np.nan), 1.0), 0.0)


def test_the_worst_are_the_greatest_and_what_is_not_finite() -> None:
    losses = np.array([1.0, np.nan, 3.0, 2.0, 0.5, 9.0])
    assert np.flatnonzero(bounded.worst(losses, 0.5)).tolist() == [1, 2, 5]
    assert not bounded.worst(losses, 0.1).any()
