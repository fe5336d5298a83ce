"""A source that flips labels stands out; sources that differ honestly do not."""

import numpy as np
import pytest

from untaint.evidence.source_flips import Confusions, Excess, aimed_flips, confusions, random_flips

SOURCES, CLASSES, EACH = 8, 10, 1_250


def drawn(seed: int, *, harder: float = 1.0, flips: float = 0.0, aimed: float = 0.0) -> Confusions:
    """Classes mixed differently per source; even classes and the next are confused. The last source is harder, or flips."""
    rng = np.random.default_rng(seed)
    sources = np.repeat(np.arange(SOURCES), EACH)
    mix = rng.dirichlet(np.full(CLASSES, 2.0), SOURCES)
    mix[-1] = 1 / CLASSES
    truth = np.concatenate([rng.choice(CLASSES, EACH, p=part) for part in mix])
    last = sources == SOURCES - 1
    looks = np.where(rng.random(len(truth)) < np.where(last, harder, 1.0) * 0.08, truth ^ 1, truth)
    looks = np.where(rng.random(len(truth)) < np.where(last, harder, 1.0) * 0.01, rng.integers(0, CLASSES, len(truth)), looks)
    labels = truth.copy()
    some = last & (rng.random(len(truth)) < flips)
    labels[some] = (labels[some] + rng.integers(1, CLASSES, some.sum())) % CLASSES
    labels[last & (truth == 2) & (rng.random(len(truth)) < aimed)] = 3
    listed = (looks != labels) & (rng.random(len(truth)) < 0.8)
    return confusions(sources, looks, labels, listed, CLASSES)


PAIR = np.arange(CLASSES) // 2
UNLIKE = PAIR[:, None] != PAIR


def small(found: list[Excess], p_value: float = 0.001) -> list[int]:
    return [excess.source for excess in found if excess.p_value <= p_value]


@pytest.mark.parametrize("seed", range(5))
def test_random_flips_are_traced_and_measured(seed: int) -> None:
    found = random_flips(drawn(seed, flips=0.1), UNLIKE)
    assert small(found) == [SOURCES - 1]
    assert found[-1].share == pytest.approx(0.08, abs=0.03)  # four in five flips are listed


@pytest.mark.parametrize("seed", range(5))
def test_aimed_flips_between_look_alikes_are_traced(seed: int) -> None:
    found = aimed_flips(drawn(seed, aimed=0.8))
    assert small(found) == [SOURCES - 1]
    assert found[-1].pair == (2, 3)
    assert 0.5 < found[-1].share < 0.9


@pytest.mark.parametrize("harder", [1.0, 1.5, 2.0])
def test_honest_sources_are_not_accused(harder: float) -> None:
    """A harder source errs more, but both ways and between look-alikes."""
    for seed in range(20):
        counts = drawn(seed, harder=harder)
        assert [e for e in random_flips(counts, UNLIKE) if e.p_value <= 0.01 and e.share >= 0.04] == []
        assert [e for e in aimed_flips(counts) if e.p_value <= 0.01 and e.share >= 0.15] == []


def test_a_rate_known_from_few_cases_is_known_badly() -> None:
    """Six confusions where the others, with as many rows, had none could be chance in a hundred comparisons."""
    every = np.zeros((2, 4, 4))
    every[:, range(4), range(4)] = 100
    every[0, 0, 1] = 6
    assert aimed_flips(Confusions(every, every, np.arange(2)))[0].p_value > 0.01


def test_two_classes_are_enough() -> None:
    every = np.zeros((3, 2, 2))
    every[:, [0, 1], [0, 1]] = 500
    every[:, 0, 1] = every[:, 1, 0] = (60, 5, 5)
    listed = every * (1 - np.eye(2))
    assert small(random_flips(Confusions(every, listed, np.arange(3)), ~np.eye(2, dtype=bool))) == [0]


def test_one_flipping_source_among_very_many() -> None:
    """20,000 sources with one to five rows, 300 with 60 each, and one of those flips."""
    rng = np.random.default_rng(0)
    few = np.repeat(np.arange(20_000), rng.integers(1, 6, 20_000))
    sources = np.concatenate([few, np.repeat(np.arange(20_000, 20_300), 60)])
    looks = rng.integers(0, CLASSES, len(sources))
    slip = rng.random(len(sources)) < 0.03
    labels = np.where(slip, looks ^ 1, looks)
    flipped = (sources == 20_100) & (rng.random(len(sources)) < 0.4)
    labels[flipped] = (looks[flipped] + rng.integers(1, CLASSES, flipped.sum())) % CLASSES
    counts = confusions(sources, looks, labels, looks != labels, CLASSES)
    assert counts.codes.tolist() == [*range(20_000, 20_300), -1]
    assert counts.every.sum() == len(sources)
    assert small(random_flips(counts, UNLIKE)) == [20_100]
    labels[flipped] = looks[flipped]
    assert small(random_flips(confusions(sources, looks, labels, looks != labels, CLASSES), UNLIKE)) == []
