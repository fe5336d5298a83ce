import math

import numpy as np
import pytest

from untaint.numerics.excess import excess_p
from untaint.numerics.outlying import grubbs_p, largest_p


def test_excess_of_the_mean_is_an_even_chance() -> None:
    assert excess_p(0.2, 0.2, 0.1, 10) == pytest.approx(0.5)


def test_excess_keeps_its_level_for_pairs_that_are_alike() -> None:
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(2000):
        seen = rng.normal(0.3, 0.2, 8)
        alarms += excess_p(float(rng.normal(0.3, 0.2)), float(seen.mean()), float(seen.std(ddof=1)), 8) <= 0.05
    assert 0.035 < alarms / 2000 < 0.065


def test_excess_needs_pairs_and_passes_on_what_is_not_known() -> None:
    assert math.isnan(excess_p(float("nan"), 0.0, 1.0, 5))
    with pytest.raises(ValueError, match="two pairs"):
        excess_p(1.0, 0.0, 1.0, 1)


def test_an_outlier_stands_out_and_normal_numbers_do_not() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=30)
    assert grubbs_p(values) > 0.05
    assert grubbs_p(np.append(values, 9.0)) < 1e-6
    assert math.isnan(grubbs_p(values[:4]))
    assert grubbs_p(np.ones(6)) == 1.0


def test_grubbs_keeps_its_level() -> None:
    rng = np.random.default_rng(2)
    assert np.mean([grubbs_p(rng.normal(size=16)) <= 0.05 for _ in range(1000)]) < 0.07


def test_a_margin_far_ahead_stands_out() -> None:
    others = np.random.default_rng(3).gamma(20, 0.5, 20)
    assert largest_p(others) > 0.001
    assert largest_p(np.append(others, 60.0)) < 1e-6
    assert math.isnan(largest_p(others[:3]))
    assert largest_p(np.full(6, 2.0)) == 1.0
