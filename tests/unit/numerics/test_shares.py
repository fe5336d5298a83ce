"""Intervals of shares, against tabled values and the definition."""

import pytest
from scipy.stats import binom

from untaint.numerics.shares import bounds, interval


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (20, 20, 0.8316, 1.0), (1, 1, 0.025, 1.0)],
)
def test_tabled_values(hits: int, trials: int, low: float, high: float) -> None:
    assert interval(hits, trials) == pytest.approx((low, high), abs=1e-4)


def test_at_the_bounds_what_was_counted_is_just_possible() -> None:
    low, high = interval(7, 30)
    assert binom.sf(6, 30, low) == pytest.approx(0.025)
    assert binom.cdf(7, 30, high) == pytest.approx(0.025)


def test_bounds_in_words() -> None:
    assert bounds(57, 60) == "95 % interval 86% to 99%"
