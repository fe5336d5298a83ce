import numpy as np
import pytest

from untaint.detectors.label_consensus import expected_precision


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
    assert expected_precision(given, looks, everything, 10) == pytest.approx(truth, abs=0.08)


def test_honest_confusion_is_not_called_flips() -> None:
    given, looks, everything, _ = listed(0.0, 0.05)
    assert expected_precision(given, looks, everything, 10) == 0


def test_unknown_with_few_classes_or_nothing_listed() -> None:
    given, looks, everything, _ = listed(0.05, 0.0, classes=3)
    assert np.isnan(expected_precision(given, looks, everything, 3))
    none = np.array([], np.int64)
    assert np.isnan(expected_precision(none, none, everything, 10))
