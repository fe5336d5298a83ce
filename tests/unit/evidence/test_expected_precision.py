import numpy as np
import pytest

from untaint.detectors.label_consensus import expected_precision
from untaint.evidence.source_flips import unlike_pairs


def stated(given: np.ndarray, looks: np.ndarray, everything: np.ndarray, classes: int = 10) -> float:
    """Every wrong label would be listed; even classes and the next are alike."""
    listable = np.repeat(np.bincount(everything, minlength=classes)[:, None], classes, axis=1)
    pair = np.arange(classes) // 2
    return expected_precision(given, looks, listable, pair[:, None] != pair)


def listed(flips: float, confused: float, classes: int = 10, n: int = 40_000) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Given labels and looks of the listed rows, looks of all, and the true share of flips among the listed.

    Flips go to any other class; honest confusion only from even classes to the next.
    """
    rng = np.random.default_rng(0)
    looks = rng.integers(0, classes, n)
    given = looks.copy()
    flipped = rng.random(n) < flips
    given[flipped] = (looks[flipped] + rng.integers(1, classes, flipped.sum())) % classes
    alike = ~flipped & (looks % 2 == 0) & (rng.random(n) < 2 * confused)
    given[alike] = looks[alike] + 1
    rows = given != looks
    return given[rows], looks[rows], looks, float(flipped[rows].mean())


@pytest.mark.parametrize("flips", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("confused", [0.0, 0.02, 0.05])
def test_close_to_the_truth_for_random_flips(flips: float, confused: float) -> None:
    given, looks, everything, truth = listed(flips, confused)
    assert stated(given, looks, everything) == pytest.approx(truth, abs=0.08)


def test_honest_confusion_is_not_called_flips() -> None:
    given, looks, everything, _ = listed(0.0, 0.05)
    assert stated(given, looks, everything) == 0


def test_unknown_with_few_classes_or_nothing_listed() -> None:
    given, looks, everything, _ = listed(0.05, 0.0, classes=3)
    assert np.isnan(stated(given, looks, everything, 3))
    none = np.array([], np.int64)
    assert np.isnan(stated(none, none, everything))


def test_flips_that_could_not_be_listed_are_not_expected() -> None:
    """Flips within an alike pair are invisible here: the rate comes from unlike pairs, the number from what could be listed."""
    given, looks, everything, _ = listed(0.05, 0.0)
    pair = np.arange(10) // 2
    seen = pair[given] != pair[looks]
    listable = np.bincount(everything, minlength=10)[:, None] * (pair[:, None] != pair)
    assert expected_precision(given[seen], looks[seen], listable, pair[:, None] != pair) == pytest.approx(1.0, abs=0.01)


def test_unlike_pairs_are_those_a_judge_does_not_hesitate_over() -> None:
    labels = np.repeat(np.arange(4), 100)
    probabilities = np.full((400, 4), 0.01)
    probabilities[np.arange(400), labels] = 0.6
    probabilities[np.arange(400), labels ^ 1] = 0.37
    unlike = unlike_pairs(probabilities, labels)
    assert not unlike[0, 1]
    assert not unlike[3, 2]
    assert unlike[0, 2]
    assert unlike[1, 3]
