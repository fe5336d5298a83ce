import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from untaint.evidence.calibrate import fused, p_values
from untaint.evidence.evidence import Evidence


def naive(scores: np.ndarray) -> list[float]:
    """Conformal p-value, sample by sample."""
    known = scores[np.isfinite(scores)]
    return [(1 + (known >= score).sum() - 1) / (len(known) + 1) if np.isfinite(score) else np.nan for score in scores]


@given(st.lists(st.one_of(st.integers(-3, 3).map(float), st.just(np.nan), st.floats(-1e6, 1e6)), min_size=1, max_size=40))
def test_an_empirical_p_value_counts_who_is_as_high(values: list[float]) -> None:
    scores = np.array(values)
    np.testing.assert_allclose(p_values(Evidence(scores, "empirical")), naive(scores))


def test_uniform_under_the_null() -> None:
    scores = np.random.default_rng(0).standard_normal(5000)
    found = p_values(Evidence(scores, "empirical"))
    assert kstest(found, "uniform").pvalue > 0.99
    assert found.min() > 0


@pytest.mark.parametrize("null", ["empirical", "p-value"])
def test_not_assessed_stays_nan(null: str) -> None:
    scores = np.array([0.2, np.nan, 0.9, np.inf])
    found = p_values(Evidence(scores, null))  # type: ignore[arg-type]
    assert np.isnan(found).tolist() == [False, True, False, True]
    assert np.isnan(p_values(Evidence(np.full(3, np.nan), null))).all()  # type: ignore[arg-type]


def test_a_score_may_be_its_own_p_value() -> None:
    np.testing.assert_allclose(p_values(Evidence(np.array([0.0, 0.25, 1.0]), "p-value")), [1, 0.75, 0])


def test_scores_are_not_touched() -> None:
    scores = np.array([1.0, np.nan, 2.0])
    scores.setflags(write=False)
    p_values(Evidence(scores, "empirical"))


def test_fused_is_bonferroni_over_detectors() -> None:
    one, two = np.array([0.01, 0.6, np.nan, np.nan]), np.array([0.5, 0.7, 0.1, np.nan])
    np.testing.assert_allclose(fused([one, two], 4), [0.02, 1, 0.2, 1])
    np.testing.assert_allclose(fused([], 3), 1)


def test_fused_holds_its_level() -> None:
    uniform = list(np.random.default_rng(0).uniform(size=(5, 20_000)))
    assert (fused(uniform, 20_000) <= 0.05).mean() <= 0.053
