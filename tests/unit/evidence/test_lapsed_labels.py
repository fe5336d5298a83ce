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


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("flips", [0.01, 0.05])
def test_close_to_the_truth_with_few_classes_and_many(classes: int, flips: float) -> None:
    stated, true = [], []
    for seed in range(3):
        probabilities, labels, flipped = judged(classes, flips, seed)
        looks, given = probabilities.argmax(1), probabilities[np.arange(len(labels)), labels]
        listed = (given <= 0.05) & (probabilities.max(1) >= 0.5)
        doubted = (probabilities <= 0.05) & (probabilities.max(1) >= 0.5)[:, None]
        listable = np.stack([doubted[looks == code].sum(0) for code in range(classes)])
        stated.append(lapsed_precision(probabilities, labels, listed, listable))
        true.append(float(flipped[listed].mean()))
    assert np.mean(stated) == pytest.approx(np.mean(true), abs=0.1)


def test_nothing_listed_is_not_told() -> None:
    probabilities, labels, _ = judged(2, 0.0, 0)
    assert np.isnan(lapsed_precision(probabilities, labels, np.zeros(len(labels), bool), np.zeros((2, 2))))
