"""One population or two, and whitening."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from untaint.numerics import mixture


def two(distance: float, n: int = 2_000, share: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    upper = np.arange(n) < share * n
    return rng.standard_normal(n) + distance * upper, upper


@pytest.mark.parametrize("distance", [6.0, 8.0, 12.0])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_two_far_populations_are_told_apart(distance: float, share: float) -> None:
    values, upper = two(distance, share=share)
    found = mixture.two_components(values)
    assert found.separation == pytest.approx(distance, rel=0.12)
    assert ((found.upper > 0.5) == upper).mean() > 0.99
    assert found.gain > 0.1


def test_the_gain_is_the_likelihood_over_one_gaussian() -> None:
    values, upper = two(6.0)
    standard = (values - values.mean()) / values.std()
    truth = [norm.pdf(standard, standard[side].mean(), standard[side].std()) * side.mean() for side in (upper, ~upper)]
    by_hand = np.log(sum(truth)).mean() - norm.logpdf(standard).mean()
    assert mixture.two_components(values).gain == pytest.approx(by_hand, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_one_population_gains_little(seed: int) -> None:
    found = mixture.two_components(np.random.default_rng(seed).standard_normal(3_000))
    assert -0.01 < found.gain < 0.02


def test_any_value_has_a_membership() -> None:
    values, _ = two(8.0)
    found = mixture.two_components(3 * values + 20)
    np.testing.assert_allclose(found.membership(3 * values + 20), found.upper, atol=1e-6)
    np.testing.assert_allclose(found.membership(np.array([20.0, 44.0])), [0, 1], atol=1e-3)
    np.testing.assert_allclose(found.means, [20, 44], atol=0.5)
    np.testing.assert_allclose(found.variances, [9, 9], rtol=0.2)
    np.testing.assert_allclose(found.shares, [0.7, 0.3], atol=0.02)


@given(st.floats(0.1, 100), st.floats(-100, 100), st.booleans())
def test_units_do_not_matter_and_the_upper_side_follows_the_sign(scale: float, offset: float, turned: bool) -> None:
    values, upper = two(8.0, 300)
    sign = -1 if turned else 1
    found = mixture.two_components(sign * (scale * values) + offset)
    assert found.separation == pytest.approx(mixture.two_components(values).separation, rel=1e-3)
    assert ((found.upper > 0.5) == (upper != turned)).mean() > 0.99


@given(st.floats(-1e9, 1e9), st.integers(0, 50), st.sampled_from((np.float32, np.float64)))
def test_constants_are_one_population(value: float, n: int, kind: type) -> None:
    found = mixture.two_components(np.full(n, value, kind))
    assert (found.separation, found.gain) == (0.0, 0.0)
    np.testing.assert_array_equal(found.upper, np.zeros(n))
    np.testing.assert_allclose(found.membership(np.full(2, value, kind)), [0, 0], atol=1e-3)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=40))
def test_any_values_give_finite_numbers(values: list[float]) -> None:
    found = mixture.two_components(np.array(values))
    assert np.isfinite([found.separation, found.gain]).all()
    assert found.upper.shape == (len(values),)
    assert ((found.upper >= 0) & (found.upper <= 1)).all()


def test_whitened_rows_have_unit_covariance() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5_000, 6)) @ rng.standard_normal((6, 6))
    rows -= rows.mean(0)
    white = rows @ mixture.whitener(rows, shrinkage=0.0)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(6), atol=1e-3)


def test_the_whitener_equals_the_inverse_root_of_the_shrunk_covariance() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((200, 5)) @ rng.standard_normal((5, 5))
    rows -= rows.mean(0)
    covariance = np.cov(rows.T, bias=True)
    shrunk = 0.8 * covariance + 0.2 * np.trace(covariance) / 5 * np.eye(5)
    root = mixture.whitener(rows, shrinkage=0.2)
    np.testing.assert_allclose(root, root.T, atol=1e-6)
    np.testing.assert_allclose(root @ shrunk @ root, np.eye(5), atol=1e-4)


@pytest.mark.parametrize("rows", [np.zeros((10, 4)), np.zeros((0, 4))])
def test_a_whitener_of_nothing_is_finite(rows: np.ndarray) -> None:
    assert np.isfinite(mixture.whitener(rows)).all()
