"""A regression that has forgotten a ball of rows."""

import numpy as np
import pytest
from scipy.special import softmax

from untaint.numerics.holes import Rest, rest
from untaint.types import Labels

COUNT = 240


def clouds(seed: int) -> tuple[np.ndarray, Labels]:
    """Places in three clouds, and which."""
    labels = np.arange(COUNT) % 3
    return np.random.default_rng(seed).normal(size=(COUNT, 3)) + 3 * np.eye(3)[labels], labels


@pytest.fixture(scope="module")
def judge() -> Rest:
    places, labels = clouds(0)
    return rest(places, labels, 3, np.random.default_rng(0))


@pytest.mark.parametrize("ball", [np.array([5]), np.arange(12), np.arange(0, 60, 3)])
def test_it_says_what_a_regression_without_the_ball_says(judge: Rest, ball: np.ndarray) -> None:
    others = np.setdiff1d(np.arange(COUNT), ball)
    inverse = judge.solved.T @ np.linalg.pinv(judge.design.T)  # of the regularised gram matrix, in its own basis
    gram = np.linalg.inv(inverse) - judge.design[ball].T @ judge.design[ball]
    said = judge.design[ball] @ np.linalg.solve(gram, judge.design[others].T @ judge.wanted[others])
    for label in range(3):
        assert judge.share(ball, label) == pytest.approx(
            float(softmax(judge.sharpness * said, axis=1)[:, label].mean()), abs=1e-4
        )


def test_it_knows_the_label_of_a_ball_it_has_forgotten(judge: Rest) -> None:
    places, labels = clouds(0)
    near = np.argsort(((places - places[4]) ** 2).sum(1))[:20]
    near = near[labels[near] == labels[4]]
    assert judge.share(near, int(labels[4])) > 0.7


def test_labels_of_the_ball_itself_change_nothing() -> None:
    places, labels = clouds(1)
    ball = np.argsort(((places - places[0]) ** 2).sum(1))[:15]
    turned = labels.copy()
    turned[ball] = 2
    said = [rest(places, given, 3, np.random.default_rng(0)) for given in (labels, turned)]
    assert said[1].share(ball, 2) < 0.3
    assert abs(said[0].share(ball, 2) - said[1].share(ball, 2)) < 0.1
