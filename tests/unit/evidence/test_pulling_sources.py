"""Sources with too many of the hardest rows are named, one or two together; chance, classes and sources that all differ name nobody."""

import numpy as np
import pytest

from untaint.detectors.gradient_pull import LEAST_SHARE
from untaint.evidence.pulling_sources import pulling

COUNT, SOURCES = 2000, 12


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    """Hard rows at random, labels of two classes, sources."""
    rng = np.random.default_rng(seed)
    return rng.random(COUNT) < 0.05, (rng.random(COUNT) < 0.3).astype(int), rng.integers(0, SOURCES, COUNT), rng


@pytest.mark.parametrize("guilty", [(4,), (4, 9), (2, 4, 9)])
def test_sources_that_sent_far_too_many_are_named(guilty: tuple[int, ...]) -> None:
    hard, labels, codes, rng = drawn(0)
    for source in guilty:
        hard[rng.permutation(np.flatnonzero(codes == source))[:50]] = True
    found = pulling(hard, labels, codes)
    assert found is not None
    assert set(found.sources) == set(guilty)
    assert found.p_value < 1e-6
    assert found.share > 0.2
    assert found.hard > 5 * found.expected


def test_chance_names_nobody() -> None:
    assert [seed for seed in range(60) if pulling(*drawn(seed)[:3]) is not None] == []


def test_a_source_of_another_mix_of_classes_is_not_named() -> None:
    for seed in range(10):
        hard, labels, codes, rng = drawn(seed)
        hard = rng.random(COUNT) < np.where(labels == 1, 0.15, 0.01)  # one class is harder
        codes[labels == 1] = np.where(rng.random(int(labels.sum())) < 0.4, 3, codes[labels == 1])
        assert pulling(hard, labels, codes) is None


def test_where_every_source_differs_nobody_is_named() -> None:
    named = []
    for seed in range(40):
        _, labels, codes, rng = drawn(seed)
        hard = rng.random(COUNT) < 0.05 * rng.lognormal(0, 0.3, SOURCES)[codes]
        found = pulling(hard, labels, codes)
        if found is not None and found.share >= LEAST_SHARE:
            named.append(seed)
    assert named == []


def test_unknown_sources_and_few_rows_are_passed_over() -> None:
    hard, labels, codes, _ = drawn(1)
    assert pulling(hard, labels, np.full(COUNT, -1)) is None
    few = np.flatnonzero(codes == 7)
    codes[few[8:]] = 6
    hard[few] = True
    found = pulling(hard, labels, codes)
    assert found is None or 7 not in found.sources
