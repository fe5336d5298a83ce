"""Trees that ask the same of all rows at each level."""

import numpy as np

from untaint.numerics.additive import additive
from untaint.numerics.logarithms import normalised
from untaint.numerics.oblivious import LEVELS, Growth, boosted

GROWTH = Growth(30, 4, 0.3, share=1.0)


def levels(count: int, width: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, LEVELS, (count, width)).astype(np.uint8)


def right(codes: np.ndarray, unordered: np.ndarray, labels: np.ndarray, growth: Growth = GROWTH) -> float:
    """Share of the second half that a model of the first judges right."""
    half, classes = len(codes) // 2, int(labels.max()) + 1
    found = boosted(codes[:half], unordered, labels[:half], classes, growth, np.random.default_rng(1)).logarithms(codes[half:])
    assert found.shape == (len(codes) - half, classes)
    assert np.allclose(np.exp(found).sum(1), 1, atol=1e-4)
    return float((found.argmax(1) == labels[half:]).mean())


def test_two_columns_together_are_learned() -> None:
    codes = levels(2000)
    assert right(codes, np.zeros(4, bool), ((codes[:, 0] > 40) & (codes[:, 2] < 30)).astype(np.int64)) > 0.95


def test_several_classes_share_a_tree() -> None:
    codes = levels(3000)
    labels = codes[:, 1] // 16
    assert right(codes, np.zeros(4, bool), labels.astype(np.int64)) > 0.95


def test_a_word_is_told_apart_from_those_on_either_side() -> None:
    codes = levels(3000) % 6
    assert right(codes, np.ones(4, bool), (codes[:, 3] == 2).astype(np.int64), Growth(1, 1, 1.0, share=1.0)) == 1
    assert right(codes, np.zeros(4, bool), (codes[:, 3] == 2).astype(np.int64), Growth(1, 1, 1.0, share=1.0)) < 0.95


def test_what_says_nothing_is_not_believed() -> None:
    codes = levels(1000)
    labels = (np.arange(1000) % 10 == 0).astype(np.int64)
    found = boosted(codes, np.zeros(4, bool), labels, 2, Growth(1, 1, 0.1), np.random.default_rng(0)).logarithms(codes)
    assert np.abs(np.exp(found[:, 1]) - 0.1).max() < 0.02


def test_the_same_seed_grows_the_same_trees() -> None:
    codes = levels(500)
    labels = (codes[:, 0] > 20).astype(np.int64)
    first, second = (
        boosted(codes, np.zeros(4, bool), labels, 2, GROWTH, np.random.default_rng(7)).logarithms(codes) for _ in range(2)
    )
    assert (first == second).all()


def test_levels_add_up() -> None:
    codes = levels(2000) % 8
    labels = (codes[:, 0].astype(int) + codes[:, 1] > 7).astype(np.int64)
    places = [np.eye(LEVELS)[:, :8]] * 4
    judge = additive(codes, places, labels)
    assert (judge.logarithms(codes).argmax(1) == labels).mean() > 0.95
    by_hand = judge.base + sum(said[codes[:, column]] for column, said in enumerate(judge.said))
    assert np.allclose(judge.logarithms(codes)[:, 1] - judge.logarithms(codes)[:, 0], by_hand[:, 1] - by_hand[:, 0], atol=1e-4)


def test_probabilities_add_up_to_one_for_any_scores() -> None:
    for classes in (2, 5):
        scores = np.random.default_rng(0).normal(0, 30, (50, classes))
        found = normalised(scores)
        assert np.allclose(np.exp(found).sum(1), 1)
        assert np.allclose(found[:, 1] - found[:, 0], scores[:, 1] - scores[:, 0])
