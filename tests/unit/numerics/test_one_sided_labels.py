"""Targets of wrong labels, by counts of who is called what and looks like what."""

import numpy as np

from untaint.numerics.one_sided import one_sided


def found(pairs: dict[tuple[int, int], int], classes: int = 10) -> list[int]:
    """Targets, of so many rows (label, what it looks like)."""
    rows = np.array([pair for pair, count in pairs.items() for _ in range(count)], int).reshape(-1, 2)
    return np.flatnonzero(one_sided(rows[:, 0], rows[:, 1], classes)).tolist()


def test_a_label_that_all_other_classes_carry_is_a_target() -> None:
    assert found({(4, other): 20 for other in range(10) if other != 4}) == [4]
    assert found({(4, other): 20 for other in range(8) if other != 4}) == [4]  # but for two


def test_doubt_that_goes_both_ways_is_none() -> None:
    assert found({(a, b): 40 for a in range(10) for b in range(10) if a != b}) == []
    assert found({(1, 2): 300, (2, 1): 280}) == []


def test_a_class_taken_for_a_few_is_none() -> None:
    assert found({(6, other): 200 for other in (0, 2, 3, 4, 8)}) == []


def test_what_chance_makes_is_none() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert found({(a, b): int(rng.poisson(6)) for a in range(10) for b in range(10) if a != b}) == []


def test_labels_turned_in_a_ring_have_no_target() -> None:
    assert found({((k + 1) % 10, k): 50 for k in range(10)}) == []


def test_of_few_classes_nothing_is_said() -> None:
    assert found({(0, other): 50 for other in range(1, 4)}, classes=4) == []
    assert found({}, classes=10) == []
