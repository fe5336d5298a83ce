"""Rules of columns behind turned labels: found where they are, and not where labels were turned at random."""

import numpy as np
import pytest

from untaint.evidence.row_rules import rule_of

ROWS, COLUMNS = 150, 60
WORDS = np.arange(COLUMNS) >= 50


def _codes(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 17, (ROWS, COLUMNS)).astype(np.uint8)


@pytest.mark.parametrize("seed", range(8))
def test_a_rule_of_two_columns_is_found(seed: int) -> None:
    codes = _codes(seed)
    rng = np.random.default_rng(50 + seed)
    turned = rng.permutation(ROWS)[:8]
    others = np.setdiff1d(np.arange(ROWS), turned)
    codes[turned, 3], codes[turned, 55] = rng.integers(13, 17, 8), 7
    codes[others[(codes[others, 3] >= 13) & (codes[others, 55] == 7)], 55] = 8
    found = rule_of(codes, WORDS, turned, others)
    assert found is not None
    assert found.columns == (3, 55)
    assert (found.turned, found.others) == (len(turned), 0)


def test_a_rule_of_one_column_is_found_among_honest_confusion() -> None:
    codes = _codes(1)
    turned = np.flatnonzero(codes[:, 8] == 16)
    confused = np.setdiff1d(np.arange(ROWS), turned)[:2]
    found = rule_of(codes, WORDS, np.concatenate([turned, confused]), np.setdiff1d(np.arange(ROWS), [*turned, *confused]))
    assert found is not None
    assert 8 in found.columns


@pytest.mark.parametrize("turned", [5, 8, 15, 30])
def test_labels_turned_at_random_follow_no_rule(turned: int) -> None:
    for seed in range(10):
        codes = _codes(seed)
        chosen = np.random.default_rng(100 + seed).permutation(ROWS)[:turned]
        assert rule_of(codes, WORDS, chosen, np.setdiff1d(np.arange(ROWS), chosen)) is None


def test_where_there_is_nothing_to_compare_there_is_no_rule() -> None:
    codes = _codes(0)
    assert rule_of(codes, WORDS, np.empty(0, int), np.arange(9)) is None
    assert rule_of(codes, WORDS, np.arange(9), np.empty(0, int)) is None
    assert rule_of(np.ones((20, 3), np.uint8), WORDS[:3], np.arange(5), np.arange(5, 20)) is None
