"""One pair of classes with more sure contradictions than the others."""

import numpy as np

from untaint.evidence.pair_crowds import crowds
from untaint.types import Labels

CLASSES, EACH = 8, 150
COUNT = CLASSES * EACH


def judged(seed: int) -> tuple[np.ndarray, np.ndarray, Labels]:
    """Logarithms of probabilities, what is shown, and labels. Neighbouring classes are confused more than others, both ways."""
    rng = np.random.default_rng(seed)
    shown = np.repeat(np.arange(CLASSES), EACH)
    labels = np.where(rng.random(COUNT) < 0.01, rng.integers(0, CLASSES, COUNT), shown)
    labels = np.where(rng.random(COUNT) < 0.02, shown ^ 1, labels)
    logs = np.full((COUNT, CLASSES), -5.0)
    logs[np.arange(COUNT), shown] = -0.05
    return logs, shown, labels


def test_honest_confusion_that_is_mutual_crowds_nowhere() -> None:
    chances = [crowds(logs, labels, np.ones(COUNT, bool)).min() for logs, _, labels in map(judged, range(40))]
    assert np.mean(np.array(chances) <= 0.05) <= 0.05


def test_a_tenth_of_a_class_crowds_one_pair() -> None:
    for seed in range(5):
        logs, shown, labels = judged(seed)
        labels[np.flatnonzero(shown == 2)[:15]] = 5
        chances = crowds(logs, labels, np.ones(COUNT, bool))
        assert divmod(int(chances.argmin()), CLASSES) == (2, 5)
        assert chances[2, 5] < 0.01


def test_rows_that_do_not_count_are_not_counted() -> None:
    logs, shown, labels = judged(0)
    copies = np.flatnonzero(shown == 2)[:15]
    labels[copies] = 5
    single = np.ones(COUNT, bool)
    single[copies[1:]] = False
    assert crowds(logs, labels, single)[2, 5] > 0.1
