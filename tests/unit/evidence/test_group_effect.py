"""What leaving a group out is worth: much where it misleads, nothing where it does not, and surely told apart."""

import numpy as np

from untaint.evidence.group_effect import Halves, linear, networked
from untaint.numerics.perceptron import Perceptron


def halves(wrong: bool) -> tuple[Halves, np.ndarray]:
    """900 rows that a line parts, and a group of 120 of which the 60 deepest bear the other label, or none."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(900, 4))
    labels = (points.sum(1) + rng.logistic(size=900) / 2 > 0).astype(int)
    deep = np.argsort(-points.sum(1))[:60]
    group = np.isin(np.arange(900), np.append(deep, rng.permutation(900)[:60]))
    if wrong:
        labels[deep] = 0
    return Halves(points, labels, rng.integers(0, 2, 900)), group


def test_leaving_out_a_group_that_misleads_is_worth_more_than_leaving_out_any_other() -> None:
    table, group = halves(wrong=True)
    found = table.without(group, "a line", linear)
    assert found.gain > 0.01
    assert found.cheaper > 0.02
    assert table.beyond_chance(group, found, np.random.default_rng(0)) < 1e-6
    assert table.without(group, "a network", networked(Perceptron())).cheaper > 0.01


def test_leaving_out_an_honest_group_is_worth_nothing() -> None:
    table, group = halves(wrong=False)
    found = table.without(group, "a line", linear)
    assert found.gain < 0.01
    assert table.beyond_chance(group, found, np.random.default_rng(0)) > 0.01


def test_leaving_out_the_hardest_rows_helps_where_they_were_flipped() -> None:
    table, _ = halves(wrong=True)
    found = table.without_hardest(0.07, "a line", linear)
    assert found.gain > 0.015
    assert found.p_value < 1e-3
    honest = halves(wrong=False)[0].without_hardest(0.07, "a line", linear)
    assert honest.gain < 0.01


def test_a_half_with_one_class_tells_nothing() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    table = Halves(np.random.default_rng(0).normal(size=(100, 2)), labels, labels)
    assert table.without_hardest(0.05, "a line", linear).gain == 0
    assert table.without(labels == 1, "a line", linear).before == 0
