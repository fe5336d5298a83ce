"""The distribution of the privacy loss: against slow integrals, closed forms and the figures of a library."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from untaint.numerics import privacy_loss

DP_ACCOUNTING = [
    (1.1, 256 / 60000, 14062, 1, 1e-5, 2.381686002),
    (0.7, 0.01, 1000, 1, 1e-5, 4.618291445),
    (4.0, 2048 / 60000, 1200, 1, 1e-5, 1.147970190),
    (1.0, 0.5, 50, 1, 1e-6, 28.262345318),
    (20.0, 1.0, 400, 1, 1e-5, 4.377178100),
    (2.0, 0.1, 3, 1, 1e-4, 0.377031087),
    (1.3, 0.02, 1, 1, 1e-5, 0.190330564),
    (4.0, 2048 / 60000, 1200, 2, 1e-5, 2.482128548),
    (4.0, 2048 / 60000, 1200, 10, 1e-5, 16.985127952),
    (1.0, 0.5, 20, 3, 1e-6, 73.996542739),
    (3.0, 0.01, 1000, 50, 1e-5, 38.186274624),
]
"""noise, rate, steps, rows, delta, and the epsilon of dp-accounting 0.6.0: `PLDAccountant()` composed with a `SelfComposedDpEvent` of
a `PoissonSampledDpEvent` of a `GaussianDpEvent`, for more rows of a `MixtureOfGaussiansDpEvent` with binomial chances.
`benchmarks/hardening_epsilon.py` compares again where it is installed."""


def naive(noise: float, rate: float, rows: int, epsilon: float, *, present: bool) -> float:
    """Delta of one step: what the density with the rows has over exp(epsilon) times that without, or the other way about, added up."""
    x, step = np.linspace(-14 * noise, rows + 14 * noise, 200_001, retstep=True)
    without = norm.pdf(x, 0, noise)
    mixed = sum(binom.pmf(j, rows, rate) * norm.pdf(x, j, noise) for j in range(rows + 1))
    more, less = (mixed, without) if present else (without, mixed)
    return float(np.maximum(more - np.exp(epsilon) * less, 0).sum() * step)


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize(("noise", "rate", "rows"), [(1.0, 0.1, 1), (0.6, 0.5, 1), (2.0, 1.0, 1), (1.5, 0.2, 4)])
def test_one_step_is_the_integral(noise: float, rate: float, rows: int, present: bool) -> None:
    loss = privacy_loss.of_step(noise, rate, rows, 1e-4, present=present)
    for epsilon in (0.0, 0.01, 0.1, 0.5, 2.0):
        truth = naive(noise, rate, rows, epsilon, present=present)
        assert truth - 1e-12 <= loss.delta(epsilon) + 1e-8
        assert loss.delta(epsilon) == pytest.approx(truth, abs=1e-6)


def test_steps_are_convolved() -> None:
    one = privacy_loss.of_step(1.0, 0.3, 1, 1e-3, present=True)
    masses = one.masses
    for _ in range(4):
        masses = np.convolve(masses, one.masses)
    by_hand = privacy_loss.Loss(5 * one.first, one.gap, masses, 1 - (1 - one.breach) ** 5)
    together = one.composed(5)
    for epsilon in (0.0, 0.3, 1.0, 3.0):
        assert together.delta(epsilon) == pytest.approx(by_hand.delta(epsilon), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (5.0, 10), (100.0, 20_000)])
@pytest.mark.parametrize("rows", [1, 3])
def test_all_rows_drawn_is_one_gaussian_mechanism_and_never_below_it(noise: float, steps: int, rows: int) -> None:
    far = rows * np.sqrt(steps) / noise
    for present in (True, False):
        loss = privacy_loss.of_run(noise, 1.0, steps, rows, present=present)
        for epsilon in (0.0, 0.5, 2.0, 6.0):
            truth = norm.cdf(far / 2 - epsilon / far) - np.exp(epsilon) * norm.cdf(-far / 2 - epsilon / far)
            assert truth - 1e-13 <= loss.delta(epsilon) <= truth * (1 + 1e-3) + 1e-8


@pytest.mark.parametrize(("noise", "rate", "steps", "rows", "delta", "epsilon"), DP_ACCOUNTING)
def test_epsilon_is_that_of_dp_accounting(noise: float, rate: float, steps: int, rows: int, delta: float, epsilon: float) -> None:
    both = [privacy_loss.of_run(noise, rate, steps, rows, present=present).epsilon(delta) for present in (True, False)]
    assert max(both) == pytest.approx(epsilon, abs=2e-4)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.5, 10), st.floats(0.001, 1), st.integers(1, 500), st.integers(1, 4), st.booleans())
def test_epsilon_and_delta_undo_each_other(noise: float, rate: float, steps: int, rows: int, present: bool) -> None:
    loss = privacy_loss.of_run(noise, rate, steps, rows, present=present)
    epsilon = loss.epsilon(1e-5)
    if 0 < epsilon < 100:
        assert loss.delta(epsilon) == pytest.approx(1e-5, rel=1e-6)
    assert loss.delta(0) <= 1
    assert loss.masses.sum() + loss.breach == pytest.approx(1, abs=1e-6)


def test_masses_far_apart_are_discounted_by_their_distance() -> None:
    masses = np.random.default_rng(0).random(3000)
    masses[1000:2500] = 0
    by_hand = [float((masses[j + 1 :] * np.exp(-0.5 * np.arange(1, 3000 - j))).sum()) for j in range(3000)]
    np.testing.assert_allclose(privacy_loss._discounted(masses, 0.5), by_hand, rtol=1e-12, atol=1e-250)
    assert privacy_loss._discounted(np.array([1.0]), 1e9).tolist() == [0.0]


def test_the_worst_is_the_best_of_all_pairs() -> None:
    loss = privacy_loss.of_run(4.0, 0.03, 500, 2, present=True)
    epsilons = np.arange(0, 8, 0.01)
    for probability in (0.0, 1e-4, 0.05, 0.5, 1.0):
        pairs = [np.exp(epsilon) * probability + loss.delta(epsilon) for epsilon in epsilons]
        assert loss.worst(probability) == pytest.approx(min(1.0, *pairs), abs=1e-4)
        assert loss.worst(probability) <= min(pairs) + 1e-12


def test_the_worst_is_concave_and_at_least_the_probability() -> None:
    loss = privacy_loss.of_run(1.0, 0.02, 300, 3, present=True)
    p = np.linspace(0, 1, 201)
    worst = np.array([loss.worst(float(each)) for each in p])
    assert (worst >= p - 1e-12).all()
    assert (np.diff(worst, 2) <= 1e-9).all()


@pytest.mark.parametrize(("noise", "rate", "steps", "rows"), [(0.05, 0.5, 20, 1), (0.5, 0.999, 50, 40)])
def test_what_promises_nothing_is_said_without_a_number_that_is_none(noise: float, rate: float, steps: int, rows: int) -> None:
    loss = privacy_loss.of_run(noise, rate, steps, rows, present=True)
    assert loss.epsilon(1e-5) > 50
    assert loss.worst(0.01) > 0.99
    assert privacy_loss.of_run(noise, rate, steps, rows, present=False).epsilon(1e-5) > 10
