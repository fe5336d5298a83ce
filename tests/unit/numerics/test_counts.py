"""Tests on counts against exact likelihoods and simulated nulls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from untaint.numerics import counts


def naive_root(hits: int, trials: int, expected: float) -> float:
    """Twice the log likelihood ratio of the observed and the expected share, with the sign of the excess."""
    observed, chance = hits / trials, expected / trials
    ratio = binom.logpmf(hits, trials, observed) - binom.logpmf(hits, trials, chance)
    return float(np.sign(observed - chance) * np.sqrt(max(2 * ratio, 0)))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.001, 0.999))
def test_the_root_equals_the_binomial_deviance(counted: tuple[int, int], chance: float) -> None:
    hits, trials = counted
    found = counts.signed_root(np.array([float(hits)]), np.array([float(trials)]), np.array([chance * trials]))
    assert found.item() == pytest.approx(naive_root(hits, trials, chance * trials), abs=1e-5)


@given(st.integers(1, 200), st.floats(0.01, 0.99))
def test_more_hits_than_expected_are_positive_and_the_root_grows_with_them(trials: int, chance: float) -> None:
    hits = np.arange(trials + 1, dtype=float)
    found = counts.signed_root(hits, np.full(trials + 1, float(trials)), np.full(trials + 1, chance * trials))
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    clear = np.abs(hits - chance * trials) > 1e-6
    np.testing.assert_array_equal(np.sign(found[clear]), np.sign(hits - chance * trials)[clear])


def test_roots_of_binomial_counts_are_about_standard_normal() -> None:
    hits = np.random.default_rng(0).binomial(400, 0.1, 20_000).astype(float)
    found = counts.signed_root(hits, np.full(len(hits), 400.0), np.full(len(hits), 40.0))
    assert abs(found.mean()) < 0.1
    assert found.std() == pytest.approx(1, abs=0.05)


def test_expectations_of_nothing_and_of_everything_give_finite_roots() -> None:
    found = counts.signed_root(np.array([0.0, 5.0, 5.0, 0.0]), np.full(4, 5.0), np.array([0.0, 0.0, 5.0, 5.0]))
    assert np.isfinite(found).all()
    assert found[1] > 7
    assert found[3] < -7


@pytest.mark.parametrize("seed", range(5))
def test_standard_normals_are_not_overdispersed(seed: int) -> None:
    roots = np.random.default_rng(seed).standard_normal(20_000)
    assert 1 <= counts.overdispersion(roots) < 1.06


@pytest.mark.parametrize("scale", [1.5, 2.0, 4.0])
def test_inflated_normals_are_measured(scale: float) -> None:
    roots = np.random.default_rng(0).normal(0, scale, 20_000)
    assert counts.overdispersion(roots) == pytest.approx(scale, rel=0.06)


def test_narrow_roots_never_make_a_test_more_sure() -> None:
    assert counts.overdispersion(np.random.default_rng(0).normal(0, 0.5, 5_000)) == 1


def test_rare_signals_hardly_move_the_spread() -> None:
    null = np.random.default_rng(0).standard_normal(20_000)
    assert counts.overdispersion(np.append(null, np.full(20, 30.0))) == pytest.approx(counts.overdispersion(null), abs=0.05)


def test_few_roots_give_no_spread() -> None:
    assert counts.overdispersion(np.full(99, 50.0)) == 1
    assert counts.overdispersion(np.full(100, 50.0)) > 1


@given(st.floats(0, 12), st.floats(1, 5), st.integers(1, 10_000))
def test_bonferroni_is_the_corrected_normal_tail(root: float, spread: float, tests: int) -> None:
    found = counts.bonferroni(root, spread, tests)
    assert found == pytest.approx(min(1, tests * norm.sf(root / spread)))
    assert found <= counts.bonferroni(root, spread, tests + 1)


def tails(scale: float) -> list[tuple[float, float]]:
    return [counts.tail_excess(np.random.default_rng(seed).exponential(scale, 5_000)) for seed in range(50)]


def test_an_exponential_tail_is_one_population() -> None:
    assert min(p_value for p_value, _ in tails(1.0)) > 0.001
    assert np.median([p_value for p_value, _ in tails(1.0)]) > 0.3


@pytest.mark.parametrize("scale", [1.0, 2.0, 3.0])
def test_a_tail_that_thins_out_never_separates(scale: float) -> None:
    assert max(separation for _, separation in tails(scale)) < 0.35


def test_a_far_cluster_is_a_second_population() -> None:
    rng = np.random.default_rng(0)
    p_value, separation = counts.tail_excess(np.append(rng.standard_normal(5_000), rng.normal(12, 1, 60)))
    assert p_value < 1e-7
    assert separation > 0.8


def test_an_empty_tail_says_nothing() -> None:
    assert counts.tail_excess(np.zeros(50)) == (1.0, 0.0)
    assert counts.tail_excess(np.zeros(0)) == (1.0, 0.0)


def test_the_valley_lies_between_two_populations() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.standard_normal(5_000), rng.exponential(1.5, 600) + 3, rng.normal(16, 1, 3_000)])
    cut = counts.valley(scores, 5.0)
    assert 9 < cut < 14
    assert (scores[-3_000:] > cut).all()
    assert counts.valley(rng.uniform(-1, 1, 50), 5.0) == 5.0
