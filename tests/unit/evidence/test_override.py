"""A feature that overrides what the rest of the sample says, and features that merely go with a class."""

import numpy as np
import pytest

from untaint.evidence.override import Bearing, most_of, overrides, posterior

N, CLASSES, FEATURES, EACH = 8000, 5, 400, 40


def drawn(seed: int) -> tuple[Bearing, np.ndarray, np.ndarray]:
    """Labels drawn from what content says; features go with what the sample shows, some strongly."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(CLASSES, 0.5), N)
    labels = np.array([rng.choice(CLASSES, p=row) for row in probabilities])
    rows = []
    for number in range(FEATURES):
        leaning = probabilities[:, number % CLASSES] ** (number % 4) + 0.01
        rows.append(rng.choice(N, EACH, replace=False, p=leaning / leaning.sum()))
    return Bearing(np.repeat(np.arange(FEATURES), EACH), np.concatenate(rows), FEATURES), labels, probabilities


@pytest.mark.parametrize("seed", range(20))
def test_features_that_go_with_a_class_override_nothing(seed: int) -> None:
    bearing, labels, probabilities = drawn(seed)
    found = overrides(bearing, labels, probabilities, np.ones(N), 8, 0.4)
    assert found.tests == FEATURES * CLASSES
    strong = found.roots[found.effects >= 0.4]
    assert all(found.p_value(float(root)) > 0.01 for root in strong)
    assert found.null.spread() < 1.3


def test_a_trigger_is_first() -> None:
    bearing, labels, probabilities = drawn(0)
    labels = labels.copy()
    labels[bearing.row[bearing.feature == 7]] = 3
    found = overrides(bearing, labels, probabilities, np.ones(N), 8, 0.4)
    top = int(found.roots.argmax())
    assert (found.feature[top], found.label[top], found.hits[top]) == (7, 3, EACH)
    assert found.effects[top] == pytest.approx(1)
    assert found.p_value(float(found.roots[top])) < 1e-6


def test_a_trigger_in_many_features_is_not_measured_by_itself() -> None:
    bearing, labels, probabilities = drawn(0)
    labels, rows = labels.copy(), np.random.default_rng(1).choice(N, EACH, replace=False)
    labels[rows] = 3
    own = np.isin(bearing.feature, np.arange(100, 160))
    everywhere = Bearing(bearing.feature, np.where(own, rows[np.arange(len(own)) % EACH], bearing.row), FEATURES)
    found = overrides(everywhere, labels, probabilities, np.ones(N), 8, 0.4)
    top = int(found.roots.argmax())
    assert 100 <= found.feature[top] < 160
    assert found.p_value(float(found.roots[top])) > 0.05
    assert found.p_value(found.root_beside(top, rows)) < 1e-6


def test_where_too_few_features_are_left_all_of_them_measure() -> None:
    bearing, labels, probabilities = drawn(0)
    found = overrides(bearing, labels, probabilities, np.ones(N), 8, 0.4)
    assert found.root_beside(0, np.arange(N)) == pytest.approx(found.roots[0])
    assert found.root_beside(0, np.empty(0, int)) == pytest.approx(found.roots[0])


def test_copies_count_once() -> None:
    bearing, labels, probabilities = drawn(0)
    rows = bearing.row[bearing.feature == 7]
    weights, labels = np.ones(N), labels.copy()
    labels[rows], weights[rows] = 3, 1 / EACH
    found = overrides(bearing, labels, probabilities, weights, 8, 0.4)
    assert 7 not in found.feature


def test_nothing_to_compare() -> None:
    nothing = Bearing(np.empty(0, int), np.empty(0, int), 0)
    found = overrides(nothing, np.zeros(3, int), np.full((3, 2), 0.5), np.ones(3), 8, 0.4)
    assert len(found.roots) == found.tests == 0


def test_posterior_counts_how_many_are_honest() -> None:
    rng = np.random.default_rng(0)
    own = rng.uniform(0, 0.5, 20_000)
    poisoned = rng.random(len(own)) < 0.3
    labelled = poisoned | (rng.random(len(own)) < own)
    probability = posterior(labelled, own)
    for low, high in ((0.3, 0.6), (0.6, 0.8), (0.8, 0.95)):
        some = labelled & (probability >= low) & (probability < high)
        assert poisoned[some].mean() == pytest.approx(probability[some].mean(), abs=0.05)
    chosen = np.flatnonzero(labelled)[most_of(probability[labelled], 0.1)]
    assert poisoned[chosen].mean() == pytest.approx(0.9, abs=0.02)


def test_none_are_chosen_when_none_are_sure() -> None:
    assert not most_of(np.array([0.5, 0.2]), 0.1).any()
    assert most_of(np.array([1.0, 0.99, 0.1]), 0.1).tolist() == [True, True, False]
    assert most_of(np.empty(0), 0.1).shape == (0,)
