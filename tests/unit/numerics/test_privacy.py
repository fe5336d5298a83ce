"""What noisy training promises: epsilon, noise for an epsilon, and what poisoned rows can do at most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untaint.errors import BadInput
from untaint.numerics.privacy import NoisySteps, noise_for, withstands


@settings(max_examples=3, deadline=None)
@given(st.floats(0.6, 8), st.floats(0.001, 0.3), st.integers(1, 50), st.floats(1.05, 2))
def test_epsilon_grows_with_steps_rate_and_rows_and_falls_with_noise(
    noise: float, rate: float, steps: int, factor: float
) -> None:
    epsilon = NoisySteps(noise, rate, steps).epsilon(1e-5)
    slack = 1e-3 * (1 + epsilon)
    assert NoisySteps(noise * factor, rate, steps).epsilon(1e-5) <= epsilon + slack
    assert NoisySteps(noise, rate * factor, steps).epsilon(1e-5) >= epsilon - slack
    assert NoisySteps(noise, rate, int(steps * factor) + 1).epsilon(1e-5) >= epsilon - slack
    assert NoisySteps(noise, rate, steps).epsilon(1e-5, 2) >= epsilon - slack
    assert NoisySteps(noise, rate, steps).epsilon(1e-6) >= epsilon - slack
    assert epsilon <= NoisySteps(noise, rate, steps).renyi_epsilon(1e-5)


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(0.1, 0.01, 100), (1.2, 0.03, 1000), (90.0, 1.0, 10)])
def test_the_noise_for_an_epsilon_keeps_it_and_hardly_more(epsilon: float, rate: float, steps: int) -> None:
    noise = noise_for(epsilon, 1e-5, rate, steps)
    assert epsilon * 0.99 <= NoisySteps(noise, rate, steps).epsilon(1e-5) <= epsilon


def test_nothing_done_promises_everything_and_no_noise_nothing() -> None:
    assert NoisySteps(1.0, 0.1, 0).epsilon(1e-5) == 0
    assert NoisySteps(1.0, 0.0, 10).epsilon(1e-5) == 0
    assert NoisySteps(0.0, 0.1, 10).epsilon(1e-5) == np.inf
    assert NoisySteps(0.0, 0.1, 10).renyi_epsilon(1e-5) == np.inf
    assert NoisySteps(0.0, 0.1, 10).worst(0.1, 1) == 1
    assert NoisySteps(1.0, 0.1, 10).worst(0.1, 0) == 0.1
    assert noise_for(1.0, 1e-5, 0.1, 0) < 1e-5


def test_hopeless_training_has_an_epsilon_all_the_same() -> None:
    assert 1e4 < NoisySteps(0.05, 0.5, 10_000).epsilon(1e-5) < np.inf


def test_a_gaussian_release_of_one_number_stays_under_the_bound() -> None:
    """The strongest attacker there is: k rows at full length into every step; the outcome is that the total passes a threshold."""
    noise, rate, steps, rows = 2.0, 0.2, 25, 2
    training = NoisySteps(noise, rate, steps)
    rng = np.random.default_rng(0)
    runs = 200_000
    quiet = noise * np.sqrt(steps) * rng.standard_normal(runs)
    total = quiet + rng.binomial(rows * steps, rate, runs)
    for threshold in (10.0, 15.0, 20.0, 30.0):
        clean, poisoned = (quiet > threshold).mean(), (total > threshold).mean()
        spread = 4 * np.sqrt(poisoned / runs) + 4 * np.sqrt(clean / runs)
        bound = training.worst(float(clean), rows)
        assert poisoned <= bound + spread
        assert bound - poisoned < 0.12  # and the bound is not far from what an attacker reaches


def test_replacing_is_taking_away_and_adding() -> None:
    training = NoisySteps(4.0, 0.03, 300)
    assert training.worst(0.05, 2) < training.worst(0.05, 2, changed=True) < 1
    assert training.worst(0.05, 1) < training.worst(0.05, 2)


def test_the_words_hold_the_numbers() -> None:
    training = NoisySteps(4.0, 0.03, 300)
    said = withstands(training, 1, 1e-5)
    assert said.epsilon == training.epsilon(1e-5)
    assert said.poisoned == training.worst(0.05, 1)
    assert str(said).startswith("When 1 row is added, whatever they hold, no outcome of training gets more than exp(0.473)")
    assert f"at most {said.poisoned:.3g}" in str(said)
    other = withstands(training, 3, 1e-5, 0.01, changed=True)
    assert other.epsilon == 2 * training.epsilon(1e-5, 3)
    assert other.delta > 1e-5
    assert "3 rows are replaced" in str(other)


@pytest.mark.parametrize(
    ("given_values", "words"),
    [
        ((-1.0, 0.1, 1), "noise"),
        ((np.nan, 0.1, 1), "noise"),
        ((1.0, 1.1, 1), "rate"),
        ((1.0, np.nan, 1), "rate"),
        ((1.0, 0.1, -1), "steps"),
    ],
)
def test_what_makes_no_sense_is_refused(given_values: tuple[float, float, int], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        NoisySteps(*given_values)


def test_deltas_epsilons_probabilities_and_rows_that_are_none_are_refused() -> None:
    training = NoisySteps(1.0, 0.1, 10)
    for delta in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(BadInput, match="delta must lie between 0 and 1"):
            training.epsilon(delta)
    for epsilon in (0.0, -1.0, float("nan"), float("inf"), 101.0):
        with pytest.raises(BadInput, match="epsilon must lie above 0"):
            noise_for(epsilon, 1e-5, 0.1, 10)
    with pytest.raises(BadInput, match="A probability lies in 0..1"):
        training.worst(1.5, 1)
    with pytest.raises(BadInput, match="0 or more, not -1"):
        training.epsilon(1e-5, -1)
