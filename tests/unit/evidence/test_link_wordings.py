"""Several wordings of one answer: together beyond chance, each by itself not."""

import numpy as np
import pytest
import scipy.sparse as sp

from untaint.evidence.link_candidates import SURE, Candidate, Columns
from untaint.evidence.link_wordings import FEWEST, by_wordings, weaker
from untaint.features.instruction_marks import Marks
from untaint.numerics.links import Pairs, chernoff, surprise_of, together

N, PHRASES, KINDS = 5000, 300, 1000
RNG = np.random.default_rng


def incidence(columns: int, seed: int, planted: dict[int, list[int]]) -> sp.csr_array:
    """Columns of ten random rows each; of some the rows are given."""
    rng = RNG(seed)
    found = np.zeros((N, columns), np.float32)
    for column in range(columns):
        found[planted.get(column, rng.choice(N, 10, replace=False)), column] = 1
    return sp.csr_array(found)


def candidates(answers: dict[int, list[int]], seed: int = 0) -> tuple[list[Candidate], Pairs]:
    """Of phrases whose first stands in the rows 0 to 9."""
    asked = incidence(PHRASES, seed, {0: list(range(10))})
    answered = incidence(KINDS, seed + 1, answers)
    pairs = together(asked, answered, FEWEST, weaker(PHRASES))
    marks = Marks(answered, tuple(np.array([kind]) for kind in range(KINDS)), (), np.empty(0, np.int64))
    return by_wordings(pairs, Columns(asked), Columns(answered), marks), pairs


def test_five_wordings_of_two_answers_each_are_one_payload() -> None:
    found, pairs = candidates({kind: [2 * kind, 2 * kind + 1, 4000 + kind] for kind in range(5)})
    assert (pairs.surprise < np.log(pairs.tests) + SURE).all(), "each by itself is within chance"
    assert [each.triggers for each in found] == [(0,)]
    assert found[0].both.tolist() == list(range(10))
    assert found[0].total > SURE


def test_wordings_that_everybody_uses_are_no_payload() -> None:
    spread = RNG(5)
    found, _ = candidates({kind: [2 * kind, 2 * kind + 1, *spread.integers(10, N, 60).tolist()] for kind in range(5)})
    assert found == []


def test_marks_that_occur_by_chance_are_no_payload() -> None:
    assert [found for seed in range(0, 20, 2) for found in candidates({}, seed)[0]] == []


@pytest.mark.parametrize(("hits", "trials", "chance"), [(8, 10, 0.001), (10, 10, 0.3), (1, 9, 0.5), (0, 4, 0.1), (3, 3, 1.0)])
def test_the_surprise_of_one_count_is_that_of_many(hits: int, trials: int, chance: float) -> None:
    many = chernoff(np.array([hits]), np.array([trials]), np.array([chance]))
    assert surprise_of(hits, trials, chance) == pytest.approx(float(many[0]))


def test_a_mark_within_another_is_counted_once() -> None:
    found, _ = candidates({0: [0, 1, 2, 4000], 1: [0, 1, 2], 2: [0, 1]})
    assert found == [], "three answers of ten, however many marks they have"
