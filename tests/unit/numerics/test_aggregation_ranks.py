"""Means of the middle ranks: both ways to find them, block by block, and the network by the zero-one principle."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.numerics import aggregation_ranks as ranks


def naive(rows: np.ndarray, cut: int) -> np.ndarray:
    return np.array([np.mean(sorted(column)[cut : len(rows) - cut]) for column in rows.T.astype(float)])


@pytest.mark.parametrize("n", range(1, 9))
def test_the_network_puts_all_zeros_and_ones_on_the_right_side_of_both_cuts(n: int) -> None:
    lines = np.array(list(product([0.0, 1.0], repeat=n))).T
    for cut in range((n - 1) // 2 + 1):
        found = ranks.middle_mean(lines, cut)
        np.testing.assert_allclose(found, naive(lines, cut))


@given(st.integers(1, 40), st.integers(0, 10_000), st.sampled_from([np.float32, np.float64]), st.data())
def test_network_and_sorting_agree_with_the_definition_on_ties_too(n: int, seed: int, dtype: type, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    scale = float(rng.choice([1, 1e30]))
    rows: np.ndarray = (rng.integers(-3, 4, (n, 17)) * scale).astype(dtype)
    cut = data.draw(st.integers(0, (n - 1) // 2))
    before = rows.copy()
    for way in (ranks._by_network, ranks._by_sorting):
        np.testing.assert_allclose(way(np.empty(17, dtype), rows, cut), naive(rows, cut), rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("n", [5, 50])
def test_blocks_do_not_matter(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).standard_normal((n, 1000))
    weights = np.random.default_rng(1).uniform(1, 2, n)
    whole = ranks.middle_mean(rows, 2), ranks.weighted_middle_mean(rows, weights, 2.5)
    for name in ("_NETWORK_BLOCK", "_SORT_BLOCK"):
        monkeypatch.setattr(ranks, name, 7 * n + 3)
    np.testing.assert_allclose(ranks.middle_mean(rows, 2), whole[0])
    np.testing.assert_allclose(ranks.weighted_middle_mean(rows, weights, 2.5), whole[1])


def test_rows_of_any_layout_are_read() -> None:
    rows = np.random.default_rng(0).standard_normal((60, 90))
    for view in (rows.T, rows[::2, ::3], rows[:5, ::-1], np.asfortranarray(rows)):
        np.testing.assert_allclose(ranks.middle_mean(view, 2), naive(view, 2))


@pytest.mark.parametrize(("n", "cut", "most"), [(8, 1, 10), (16, 1, 22), (8, 0, 0)])
def test_comparators_whose_answer_nobody_reads_are_left_out(n: int, cut: int, most: int) -> None:
    assert len(ranks.comparators(n, cut)) <= most


@given(st.integers(1, 20), st.integers(0, 10_000))
def test_whole_weights_are_rows_repeated(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, weights = rng.standard_normal((n, 6)), rng.integers(1, 4, n)
    repeated = rows.repeat(weights, axis=0)
    cut = int(rng.integers(0, (len(repeated) - 1) // 2 + 1))
    counts = weights.astype(float)
    np.testing.assert_allclose(ranks.weighted_middle_mean(rows, counts, cut), naive(repeated, cut), atol=1e-6)
    np.testing.assert_allclose(ranks.weighted_middle_mean(rows, counts, counts.sum() / 2), np.median(repeated, 0), atol=1e-6)
