"""Training with noise: bounded rows, noise of the stated size, an epsilon that is kept, and a stopped run that goes on as it would have."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untaint.errors import BadInput
from untaint.numerics.privacy import NoisySteps
from untaint.training import compose
from untaint.training.base import Hooks, Run, Update
from untaint.training.dp import Dp

RUN = Run(seed=3, rows=2000, batch=100, epochs=2, steps=40)
UPDATE = Update(1.0, 1.0, True, 0, 0)
BAD = (1e3, 1e30, np.inf, np.nan, -np.inf)


def started(run: Run = RUN, **fields: Any) -> Any:
    return Dp(**fields).start(run)


def summed(hooks: Hooks, gradients: np.ndarray) -> np.ndarray:
    """What the engine makes of rows' gradients (n, d): bounded, those of no number 0, and summed."""
    with np.errstate(all="ignore"):
        norms = np.sqrt((gradients.astype(np.float64) ** 2).sum(1))
    assert hooks.bound is not None
    factors = np.where(np.isfinite(norms), hooks.bound(norms), 0.0)
    return (factors[:, None] * np.where(np.isfinite(norms)[:, None], gradients, 0.0)).sum(0)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, slice(None)])
def test_one_row_adds_no_more_than_the_bound(bad: float, place: Any) -> None:
    hooks = started(noise=1.0, clip=0.5)
    rows = np.random.default_rng(0).standard_normal((30, 7))
    row = np.ones(7)
    row[place] = bad
    without, with_it = summed(hooks, rows), summed(hooks, np.vstack([rows, row]))
    assert np.linalg.norm(with_it - without) <= 0.5 * (1 + 1e-12)


@given(st.lists(st.floats(0) | st.just(np.nan), max_size=20), st.floats(1e-6, 1e6))
def test_a_factor_times_its_norm_is_the_norm_or_the_bound(norms: list[float], clip: float) -> None:
    values = np.array(norms, float)
    factors = started(noise=1.0, clip=clip).bound(values)
    for norm, factor in zip(norms, factors, strict=True):
        assert factor == (0 if not np.isfinite(norm) else pytest.approx(min(1.0, clip / norm) if norm else 1.0))


def test_the_noise_has_the_stated_scale_and_the_divisor_is_the_expected_batch() -> None:
    hooks = started(noise=1.7, clip=0.3)
    drawn = np.concatenate([hooks.settle(np.full(50_000, 5.0), rows) for rows in (0, 1, 100, 170)])
    scaled = drawn * 100 - 5.0
    assert abs(scaled.mean()) < 4 * 0.51 / np.sqrt(200_000)
    assert scaled.std() == pytest.approx(1.7 * 0.3, rel=4 / np.sqrt(400_000))
    assert abs((np.abs(scaled) < 1.7 * 0.3).mean() - 0.6827) < 4 * np.sqrt(
        0.22 / 200_000
    )  # as many within one deviation as a Gaussian


def test_an_empty_batch_is_noise_alone() -> None:
    noised = started(noise=1.0).settle(np.zeros(1000, np.float32), 0)
    assert noised.dtype == np.float32
    assert 0.9 < noised.std() * 100 < 1.1


@pytest.mark.parametrize("bad", BAD)
def test_a_sum_that_is_no_number_is_noise_alone_there(bad: float) -> None:
    total = np.array([1.0, bad, 2.0], np.float32)
    kept = total.copy()
    assert np.isfinite(started(noise=1.0).settle(total, 3)).all()
    np.testing.assert_array_equal(total, kept)


def test_each_row_is_drawn_by_itself_with_the_stated_probability() -> None:
    hooks = started(noise=1.0)
    batches = [hooks.sample() for _ in range(2000)]
    sizes = np.array([len(batch) for batch in batches])
    assert sizes.mean() == pytest.approx(100, abs=4 * np.sqrt(95 / 2000))
    assert sizes.var() == pytest.approx(95, rel=0.13)
    counts = np.bincount(np.concatenate(batches), minlength=2000)
    assert counts.var() == pytest.approx(95, rel=0.13)
    assert abs(counts - 100).max() < 6 * np.sqrt(95)
    together = np.mean([np.isin([0, 1], batch).all() for batch in batches])
    assert together < 0.05**2 + 4 * np.sqrt(0.05**2 / 2000)
    assert all((np.diff(batch) > 0).all() for batch in batches)


def test_epsilon_is_kept_over_the_planned_steps_and_no_step_is_taken_after() -> None:
    hooks = started(epsilon=2.0, delta=1e-5)
    for _ in range(40):
        hooks.settle(np.zeros(2), 5)
        assert hooks.admit(UPDATE) is None
    facts = hooks.facts()
    assert facts["steps"] == 40
    assert 1.98 <= facts["epsilon"] <= 2.0
    assert facts["epsilon"] == NoisySteps(facts["noise"], 0.05, 40).epsilon(1e-5)
    hooks.settle(np.zeros(2), 5)
    assert "epsilon is spent" in hooks.admit(UPDATE)
    assert hooks.facts()["epsilon"] == facts["epsilon"]


def test_epsilon_grows_as_steps_are_done_and_is_nought_before() -> None:
    hooks = started(noise=2.0)
    assert hooks.admit is None
    spent = [hooks.facts()["epsilon"]]
    for _ in range(2):
        for _ in range(5):
            hooks.settle(np.zeros(2), 5)
        spent.append(hooks.facts()["epsilon"])
    assert spent[0] == 0
    assert spent[0] < spent[1] < spent[2]


def test_the_record_says_what_poisoned_rows_can_do() -> None:
    hooks = started(noise=4.0)
    for _ in range(10):
        hooks.settle(np.zeros(2), 5)
    facts = json.loads(json.dumps(hooks.facts(), allow_nan=False))
    assert facts["delta"] == 1 / 20_000
    assert [each["rows"] for each in facts["poisoned_rows"]] == [1, 2, 5, 10]
    worst = [each["at_most"] for each in facts["poisoned_rows"]]
    assert 0.05 < worst[0] < worst[1] < worst[2] < worst[3] < 1
    assert facts["withstands"].startswith("When 1 row is added")
    assert "the seed" in facts["noise_from"]


def test_no_noise_promises_nothing_and_says_so() -> None:
    hooks = started(noise=0)
    hooks.settle(np.zeros(2), 5)
    facts = json.loads(json.dumps(hooks.facts(), allow_nan=False))
    assert facts["epsilon"] is None
    assert facts["poisoned_rows"][0]["at_most"] == 1


@settings(max_examples=2)
@given(st.integers(0, 30), st.booleans())
def test_a_stopped_run_goes_on_with_the_same_rows_and_noise(before: int, secure: bool) -> None:
    first = started(noise=1.0, secure=secure)
    for _ in range(before):
        first.sample()
        first.settle(np.zeros(3, np.float32), 3)
    held = first.state()
    second = started(noise=1.0, secure=secure)
    second.resume(held)
    for _ in range(3):
        np.testing.assert_array_equal(first.sample(), second.sample())
        np.testing.assert_array_equal(first.settle(np.ones(5), 3), second.settle(np.ones(5), 3))
    assert first.facts()["steps"] == second.facts()["steps"] == before + 3


def test_noise_is_the_same_for_a_seed_however_far_ahead_rows_are_drawn() -> None:
    first, second = started(noise=1.0), started(noise=1.0)
    for _ in range(4):
        second.sample()
    np.testing.assert_array_equal(first.settle(np.zeros(9), 3), second.settle(np.zeros(9), 3))
    other = started(Run(seed=4, rows=2000, batch=100, steps=40), noise=1.0)
    assert (other.settle(np.zeros(9), 3) != started(noise=1.0).settle(np.zeros(9), 3)).all()


def test_secure_noise_is_another_each_time() -> None:
    first, second = started(noise=1.0, secure=True), started(noise=1.0, secure=True)
    assert (first.settle(np.zeros(9), 3) != second.settle(np.zeros(9), 3)).all()
    assert "operating system" in first.facts()["noise_from"]


@pytest.mark.parametrize(
    ("fields", "run", "words"),
    [
        ({"epsilon": 1.0, "noise": 1.0}, RUN, "dp takes epsilon or noise"),
        ({"clip": 0.0}, RUN, "clip is a number"),
        ({"clip": float("nan")}, RUN, "clip is a number"),
        ({"noise": -1.0}, RUN, "noise is a number|noise must be a number"),
        ({"noise": float("inf")}, RUN, "noise"),
        ({"epsilon": 0.0}, RUN, "epsilon must lie above 0"),
        ({"noise": 1.0, "delta": 0.0}, RUN, "delta lies between 0 and 1 / rows"),
        ({"noise": 1.0, "delta": 0.001}, RUN, "given away outright"),
        ({"noise": 1.0}, Run(), "how many there are"),
        ({"noise": 1.0}, Run(rows=50, batch=100), "can't draw batches of 100 from 50 rows"),
        ({}, Run(rows=500, batch=100), "number of epochs"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], run: Run, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        started(run, **fields)


@pytest.mark.parametrize("other", ["clip", "guard", "aggregate"])
def test_what_no_accountant_counts_is_refused_beside_it(other: str) -> None:
    with pytest.raises(BadInput, match="unsound"):
        compose.recipe(f"dp + {other}")
