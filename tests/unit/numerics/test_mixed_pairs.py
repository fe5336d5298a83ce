"""Too many mixed pairs, against what exchangeable labels can do."""

import numpy as np
import pytest

from untaint.numerics.mixed_pairs import chance


def test_by_hand() -> None:
    """Four pairs, four labels in eight places: 70 arrangements, 16 of them with all pairs mixed, 6 with none."""
    assert chance(0, 4, 0) == pytest.approx(16 / 70)
    assert chance(2, 0, 2) == pytest.approx(1.0)
    assert chance(0, 0, 7) == 1.0


def test_mixtures_of_any_rates_are_no_alarm() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        a, b = rng.uniform(0.2, 3, 2).tolist()
        rate = rng.beta(a, b, size=80)
        counts = np.bincount(rng.binomial(2, rate), minlength=3)
        found.append(chance(int(counts[2]), int(counts[1]), int(counts[0])))
    assert (np.array(found) <= 0.05).mean() <= 0.05


def test_pairs_that_are_all_mixed_are() -> None:
    assert chance(0, 40, 0) < 1e-9
