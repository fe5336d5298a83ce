"""Rényi divergences of sampled Gaussian sums, against a slow integral and the figures of two libraries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from untaint.numerics import renyi

OPACUS = [
    (1.1, 256 / 60000, 14062, 1e-5, 2.59655587),
    (0.7, 0.01, 1000, 1e-5, 5.42139707),
    (4.0, 2048 / 60000, 1200, 1e-5, 1.25597745),
    (1.0, 0.5, 50, 1e-6, 30.29791717),
    (20.0, 1.0, 400, 1e-5, 4.72850707),
    (0.5, 0.001, 20000, 1e-6, 9.02485033),
    (2.0, 0.1, 3, 1e-4, 0.50052044),
]
"""noise, rate, steps, delta, and the epsilon of Opacus 1.6.0: opacus.accountants.analysis.rdp, `get_privacy_spent` of `compute_rdp`
with the orders of `renyi.ORDERS`. `benchmarks/hardening_epsilon.py` compares again where the libraries are installed."""
DP_ACCOUNTING = [
    (1.1, 256 / 60000, 14062, 1e-5, 2.59698118),
    (0.7, 0.01, 1000, 1e-5, 5.68407868),
    (4.0, 2048 / 60000, 1200, 1e-5, 1.25597745),
    (1.0, 0.5, 50, 1e-6, 30.29791717),
    (0.5, 0.001, 20000, 1e-6, 9.18633571),
    (2.0, 0.1, 3, 1e-4, 0.50052044),
]
"""The same of dp-accounting 0.6.0: `RdpAccountant(range(2, 257))` composed with a `SelfComposedDpEvent` of a `PoissonSampledDpEvent`
of a `GaussianDpEvent`. Whole orders only: of others its series adds up absolute values, an upper bound on the divergence."""


def naive(noise: float, rate: float, order: float) -> float:
    """Mean of (density with the row / without)^order, integrated over the density without."""

    def value(x: float) -> float:
        ratio = (1 - rate) + rate * np.exp((2 * x - 1) / (2 * noise**2))
        return float(norm.pdf(x, 0, noise) * ratio**order)

    points = [0, order, order + 6 * noise]
    total = quad(value, -12 * noise, order + 12 * noise, points=points, limit=500, epsabs=0, epsrel=1e-12)[0]
    return float(np.log(total) / (order - 1))


@pytest.mark.parametrize("noise", [0.8, 3.0])
@pytest.mark.parametrize("rate", [0.003, 0.5])
def test_each_order_is_the_integral(noise: float, rate: float) -> None:
    orders = np.array([1.1, 1.5, 2.0, 3.7, 8.0, 10.9, 11.0, 12.0])
    expected = [naive(noise, rate, float(order)) for order in orders]
    np.testing.assert_allclose(renyi.divergences(noise, rate, orders), expected, rtol=1e-6, atol=1e-12)


def test_all_rows_drawn_is_the_plain_gaussian_and_none_drawn_is_nothing() -> None:
    np.testing.assert_allclose(renyi.divergences(2.0, 1.0), renyi.ORDERS / 8)
    assert not renyi.divergences(2.0, 0.0).any()


@pytest.mark.parametrize(("noise", "rate", "steps", "delta", "epsilon"), OPACUS)
def test_epsilon_is_that_of_opacus(noise: float, rate: float, steps: int, delta: float, epsilon: float) -> None:
    assert renyi.epsilon(steps * renyi.divergences(noise, rate), delta) == pytest.approx(epsilon, abs=1e-6)


@pytest.mark.parametrize(("noise", "rate", "steps", "delta", "epsilon"), DP_ACCOUNTING)
def test_epsilon_is_that_of_dp_accounting(noise: float, rate: float, steps: int, delta: float, epsilon: float) -> None:
    orders = np.arange(2.0, 257.0)
    divergences = renyi.divergences(noise, rate, orders)
    assert renyi.epsilon(steps * divergences, delta, orders) == pytest.approx(epsilon, abs=1e-6)


@settings(max_examples=10)
@given(st.floats(0.3, 20), st.floats(0, 1), st.floats(1, 1.5))
def test_more_noise_tells_less_and_higher_orders_more(noise: float, rate: float, factor: float) -> None:
    some = renyi.divergences(noise, rate)
    assert (renyi.divergences(noise * factor, rate) <= some + 1e-12).all()
    assert (np.diff(some) >= -1e-9 * (1 + some[1:])).all()


def test_what_tells_nothing_has_epsilon_nought() -> None:
    assert renyi.epsilon(np.zeros(len(renyi.ORDERS)), 1e-5) == 0
    assert renyi.epsilon(renyi.divergences(1.0, 1e-9), 1e-5) == 0
