"""What share of a list of doubtful labels is wrong for no reason."""

import numpy as np
import pytest
from scipy.special import softmax

from untaint.evidence.lapsed_labels import lapsed_precision


def judged(classes: int, flips: float, seed: int, count: int = 6000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated probabilities, labels drawn from them, and which were then flipped to any other class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (count, classes))
    logits[np.arange(count), rng.integers(0, classes, count)] += np.abs(rng.normal(0, 6, count))
    probabilities = softmax(logits, axis=1)
    labels = (probabilities.cumsum(1) > rng.random(count)[:, None]).argmax(1)
    flipped = rng.random(count) < flips
    labels[flipped] = (labels[flipped] + rng.integers(1, classes, flipped.sum())) % classes
    return probabilities, labels, flipped


def stated(classes: int, flips: float, seed: int) -> tuple[float, float, float]:
    """Between what shares the list is said to be flips, and what it is."""
    probabilities, labels, flipped = judged(classes, flips, seed)
    looks, given = probabilities.argmax(1), probabilities[np.arange(len(labels)), labels]
    listed = (given <= 0.05) & (probabilities.max(1) >= 0.5)
    doubted = (probabilities <= 0.05) & (probabilities.max(1) >= 0.5)[:, None]
    listable = np.stack([doubted[looks == code].sum(0) for code in range(classes)])
    return *lapsed_precision(probabilities, labels, listed, listable), float(flipped[listed].mean())


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("flips", [0.0, 0.01, 0.05])
def test_the_truth_lies_between(classes: int, flips: float) -> None:
    low, high, true = stated(classes, flips, 0)
    assert low <= true <= high


def test_many_classes_and_rows_tell_it_closely() -> None:
    for flips in (0.0, 0.05):
        low, high, _ = stated(10, flips, 1)
        assert high - low < 0.3


def test_a_tenth_of_two_classes_is_more_than_honest_labels_err() -> None:
    low, _, true = stated(2, 0.1, 2)
    assert 0.4 < low < true


def test_errors_that_go_one_way_are_no_flips() -> None:
    rng = np.random.default_rng(0)
    odds = np.concatenate([rng.normal(-4, 1, 4000), rng.normal(4, 1, 2000)])
    probabilities = np.stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))], axis=1)
    labels = (rng.random(6000) < probabilities[:, 1]).astype(np.int64)
    labels[:4000] |= rng.random(4000) < 0.05  # customers who leave for reasons of their own
    listed = probabilities[np.arange(6000), labels] <= 0.05
    listable = np.array([[0, (probabilities[:, 1] <= 0.05).sum()], [(probabilities[:, 0] <= 0.05).sum(), 0]])
    low, high = lapsed_precision(probabilities, labels, listed, listable)
    assert low == 0
    assert high < 0.6


def test_nothing_listed_is_not_told() -> None:
    probabilities, labels, _ = judged(2, 0.0, 0)
    assert np.isnan(lapsed_precision(probabilities, labels, np.zeros(len(labels), bool), np.zeros((2, 2)))).all()
