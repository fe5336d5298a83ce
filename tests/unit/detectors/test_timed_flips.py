"""Labels flipped within a short time are accused; those that are wrong now and then are not."""

import numpy as np

from untaint.detectors.timed_flips import TimedFlips
from untaint.evidence.evidence import Evidence
from untaint.features.duplicates import NearCopies
from untaint.features.judgement import Judgement
from untaint.features.moments import binned

COUNT, CLASSES = 2400, 4


def examined(wrong: np.ndarray, seed: int, days: int = 240) -> Evidence:
    """A judge that knows every row's class but for one in fifty, and labels that are wrong where told."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, COUNT)
    labels = np.where(wrong, (truth + 1) % CLASSES, truth)
    seen = np.where(rng.random(COUNT) < 0.02, rng.integers(0, CLASSES, COUNT), truth)
    probabilities = np.full((COUNT, CLASSES), 0.01)
    probabilities[np.arange(COUNT), seen] = 0.97
    times = np.datetime64("2026-01-01", "us") + np.sort(rng.integers(0, days, COUNT)) * np.timedelta64(1, "D")
    alone = NearCopies(np.full(COUNT, -1), np.full(COUNT, -1), np.ones(COUNT))
    judged = Judgement(probabilities[np.arange(COUNT), labels], probabilities, 0.1)
    return TimedFlips().examine(judged, labels, binned(times, 24), alone, tuple("abcd"))


def test_a_burst_of_flips_is_accused() -> None:
    wrong = np.zeros(COUNT, bool)
    wrong[1000:1100:2] = True
    groups = [group for group in examined(wrong, 0).groups if group.p_value < 0.001 and group.effect >= group.minimum_effect]
    assert groups
    assert np.isin(np.concatenate([group.members for group in groups]), np.arange(990, 1110)).mean() > 0.8
    assert all(group.contradiction == 1 for group in groups)
    assert "samples collected 2026-" in groups[0].explanation


def test_errors_now_and_then_are_no_burst() -> None:
    for seed in range(10):
        wrong = np.random.default_rng([seed, 9]).random(COUNT) < 0.05
        groups = examined(wrong, seed).groups
        assert [group for group in groups if group.p_value < 0.01 and group.effect >= group.minimum_effect] == []


def test_one_day_is_not_compared() -> None:
    found = examined(np.zeros(COUNT, bool), 0, days=1)
    assert found.groups == ()
    assert "different times" in found.note
