"""Learned by heart or only alike: the names of seen and unseen are exchanged."""

import numpy as np
import pytest

from untaint.numerics.nearness import advantage, nearness

RNG = np.random.default_rng(0)


def group(points: np.ndarray, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return points, RNG.normal(size=(n, 8)), RNG.normal(size=(n, 8))


def test_points_of_the_class_are_as_near_to_both() -> None:
    p_values = [nearness([group(RNG.normal(size=(3, 8))) for _ in range(3)], RNG, 99).p_value for _ in range(40)]
    assert np.mean(np.array(p_values) <= 0.1) <= 0.25
    assert 0.3 <= np.mean(p_values) <= 0.7


def test_copies_of_seen_rows_are_told() -> None:
    groups = [(seen[:3] + 0.01, seen, unseen) for _, seen, unseen in (group(np.empty((0, 8))) for _ in range(4))]
    found = nearness(groups, RNG)
    assert found.ratio < 0.1
    assert found.p_value <= 0.01


def test_nothing_is_nothing() -> None:
    assert np.isnan(nearness([], RNG).ratio)
    assert np.isnan(nearness([group(np.empty((0, 8)))], RNG).p_value)


def test_losses_that_are_alike_give_no_advantage() -> None:
    found = advantage(RNG.exponential(size=2000), RNG.exponential(size=2000), RNG)
    assert abs(found.advantage) < 0.05
    assert found.auc == pytest.approx(0.5, abs=0.03)
    assert found.p_value > 0.001


def test_smaller_losses_of_members_are_told() -> None:
    found = advantage(RNG.exponential(0.1, 500), RNG.exponential(1.0, 500), RNG)
    assert found.advantage > 0.5
    assert found.auc > 0.8
    assert found.p_value < 1e-6
    assert np.isnan(advantage(np.ones(3), np.ones(9), RNG).auc)
