"""Labels of one class that bear one other for no reason."""

import numpy as np
from scipy.special import expit

from untaint.evidence.one_sided import OneSided, one_sided


def pairs(flips: float, back: float, seed: int, count: int = 3000) -> tuple[dict[tuple[int, int], OneSided], np.ndarray]:
    """A calibrated judge of two classes, labels drawn from what it says, a share of those of 0 relabelled 1, and of 1 as 0."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 5, count)
    probabilities = np.stack([expit(-odds), expit(odds)], axis=1)
    labels = (rng.random(count) < probabilities[:, 1]).astype(np.int64)
    flipped = rng.random(count) < np.where(labels == 0, flips, back)
    found = one_sided(probabilities, np.where(flipped, 1 - labels, labels), np.ones(count, bool))
    return {(each.looks, each.label): each for each in found}, np.flatnonzero(flipped)


def test_one_way_is_told() -> None:
    for seed in range(3):
        found, flipped = pairs(0.1, 0.0, seed)
        there, back = found[0, 1], found[1, 0]
        assert there.p_value < 1e-4
        assert abs(there.share - 0.1) < 0.03
        assert there.reverse == back.share < 0.02
        assert back.p_value > 0.01
        assert np.isin(there.members, flipped).mean() > 0.7
        assert len(there.members) > 0.7 * len(flipped)


def test_both_ways_are_as_many() -> None:
    found, _ = pairs(0.05, 0.05, 0)
    assert abs(found[0, 1].share - found[1, 0].share) < 0.03


def test_honest_doubt_is_none() -> None:
    for seed in range(5):
        found, _ = pairs(0.0, 0.0, seed)
        assert min(each.p_value for each in found.values()) > 0.01


def test_a_class_nothing_looks_like_has_no_share() -> None:
    probabilities = np.tile([0.9, 0.1], (50, 1))
    found = {each.looks: each for each in one_sided(probabilities, np.arange(50) % 2, np.ones(50, bool))}
    assert found[1].p_value == 1
    assert len(found[1].members) == 0
