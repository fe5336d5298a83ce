"""Pulls are the squared parts of gradients along the direction in which they differ most."""

import numpy as np
import pytest
from scipy.special import softmax

from untaint.numerics.pulls import WIDEST, learned, narrowed, pulls


@pytest.mark.parametrize("classes", [2, 4])
def test_they_are_what_a_table_of_gradients_gives(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300) * 10  # codes need not be 0, 1, 2
    points = rng.normal(size=(300, 3)) * [3, 1, 0.3] + labels[:, None] / 20
    model = learned(points, labels)
    residuals = model.predict_proba(points) - (labels[:, None] == model.classes_)
    places = np.column_stack([points, np.ones(300)])
    gradients = (residuals[:, :, None] * places[:, None, :]).reshape(300, -1)
    gradients -= gradients.mean(0)
    _, _, directions = np.linalg.svd(gradients, full_matrices=False)
    np.testing.assert_allclose(pulls(model, points, labels), (gradients @ directions[0]) ** 2, rtol=0.02, atol=0.02)


def test_labels_flipped_deep_within_their_class_pull_hardest() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(1000, 5))
    depth = points @ np.ones(5)
    labels = (depth + rng.normal(size=1000) > 0).astype(int)
    deep = np.argsort(-depth)[:30]
    labels[deep] = 0
    pull = pulls(learned(points, labels), points, labels)
    assert np.isin(np.argsort(-pull)[:30], deep).mean() > 0.9


def test_wide_tables_are_narrowed() -> None:
    points = np.random.default_rng(2).normal(size=(200, WIDEST + 20))
    assert narrowed(points).shape == (200, WIDEST)
    assert narrowed(points[:, :5]) is not None
    np.testing.assert_array_equal(narrowed(points[:, :5]), points[:, :5])


def test_probabilities_add_up_where_the_model_is_asked() -> None:
    points = np.random.default_rng(3).normal(size=(60, 2))
    model = learned(points, np.arange(60) % 3)
    np.testing.assert_allclose(model.predict_proba(points), softmax(model.decision_function(points), axis=1), rtol=1e-6)
