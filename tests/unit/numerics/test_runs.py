"""Runs of words and distinct numbers, against the plainest way to find them."""

import numpy as np
import pytest

from untaint.numerics.distinct import distinct
from untaint.numerics.runs import Held, sense

TEXTS = [np.array(text, np.int64) for text in ([1, 2, 3, 1, 2], [2, 3], [], [3, 1, 2, 3], [1, 2])]


@pytest.mark.parametrize(
    ("run", "holders"), [((1,), [0, 3, 4]), ((1, 2), [0, 3, 4]), ((1, 2, 3), [0, 3]), ((2, 2), []), ((2, 3, 3), []), ((9,), [])]
)
def test_texts_that_hold_a_run_are_found_across_no_boundary(run: tuple[int, ...], holders: list[int]) -> None:
    assert Held(TEXTS).texts(run).tolist() == holders


@pytest.mark.parametrize("values", [[], [4], [3, 1, 3, 2, 1], [-1, -1]])
def test_distinct_is_unique(values: list[int]) -> None:
    assert distinct(np.array(values, np.int64)).tolist() == sorted(set(values))


def test_words_in_their_usual_order_are_told_by_the_one_before_and_shuffled_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    ordered = [np.tile(np.arange(10), 3) + 10 * int(rng.integers(4)) for _ in range(200)]
    real, random = sense(ordered, 40, rng)
    assert np.nanmean(real) > 2
    assert np.nanmean(random) < np.nanmean(real) / 2


def test_neighbours_of_one_text_alone_tell_nothing_about_it() -> None:
    real, _ = sense([np.tile([1, 2], 50), np.tile([3, 4], 50)], 5, np.random.default_rng(0))
    assert np.nanmax(real) < 0.1


def test_no_texts_make_no_sense() -> None:
    real, random = sense([], 5, np.random.default_rng(0))
    assert len(real) == len(random) == 0
