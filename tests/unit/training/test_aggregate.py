"""Robust means of micro-batches as a defence."""

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.numerics.aggregation import RULES
from untaint.training.aggregate import Aggregate
from untaint.training.base import Hooks, Run, Update

WILD = [1e3, 1e30, np.inf, np.nan]
UPDATE = Update(norm=1.0, loss=1.0, finite=True, epoch=0, step=0)


def gradients(m: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(1, 0.1, (m, 12)).astype(np.float32)


def combine(hooks: Hooks, rows: np.ndarray) -> np.ndarray:
    assert hooks.combine is not None
    return hooks.combine(rows)


def admit(hooks: Hooks) -> str | None:
    assert hooks.admit is not None
    return hooks.admit(UPDATE)


def facts(hooks: Hooks) -> dict[str, object]:
    assert hooks.facts is not None
    return dict(hooks.facts())


def test_by_default_the_least_and_the_greatest_of_eight_do_not_count() -> None:
    hooks = Aggregate().start(Run(batch=64))
    rows = gradients()
    assert hooks.micro == 8
    np.testing.assert_allclose(combine(hooks, rows), np.sort(rows, axis=0)[1:-1].mean(0), rtol=1e-6)
    assert admit(hooks) is None


@pytest.mark.parametrize("wild", WILD)
@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "mean"])
def test_one_micro_batch_of_anything_changes_little(rule: str, mix: bool, wild: float) -> None:
    hooks = Aggregate(rule=rule, mix=mix).start(Run())
    rows = gradients()
    rows[3] = wild
    before = rows.copy()
    found = combine(hooks, rows)
    assert found.shape == (12,)
    assert np.abs(found - 1).max() < 0.3
    assert admit(hooks) is None
    np.testing.assert_array_equal(rows, before)
    finite = bool(np.isfinite(wild))
    assert facts(hooks) == {"steps": 1, "not_finite": int(not finite), "cut": int(finite), "refused": 0}


def test_a_step_with_more_bad_micro_batches_than_expected_is_refused_and_the_next_is_not() -> None:
    hooks = Aggregate(f=1).start(Run())
    rows = gradients()
    rows[:2] = np.nan
    np.testing.assert_array_equal(combine(hooks, rows), 0)
    reason = admit(hooks)
    assert reason is not None
    assert "2 of 8 rows are not finite" in reason
    combine(hooks, gradients())
    assert admit(hooks) is None
    assert facts(hooks) == {"steps": 2, "not_finite": 0, "cut": 0, "refused": 1}


@pytest.mark.parametrize("wild", [1e3, 1e30, 3e38])
@pytest.mark.parametrize("rule", RULES)
def test_more_bad_micro_batches_than_expected_are_no_longer_than_twice_the_others(rule: str, wild: float) -> None:
    rows = gradients()
    rows[2:5] = wild
    before = rows.copy()
    length = float(np.linalg.norm(rows[0]))
    assert float(np.linalg.norm(combine(Aggregate(rule=rule).start(Run()), rows))) < 2.2 * length
    np.testing.assert_array_equal(rows, before)
    unbounded = Aggregate(longest=None).start(Run())
    assert np.linalg.norm(combine(unbounded, rows).astype(float)) > 10 * length
    assert facts(unbounded)["cut"] == 0


def test_gradients_of_nothing_stay_nothing() -> None:
    np.testing.assert_array_equal(combine(Aggregate().start(Run()), np.zeros((8, 3))), 0)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_a_short_batch_is_combined_too(m: int) -> None:
    hooks = Aggregate(f=3).start(Run())
    assert np.abs(combine(hooks, gradients(m)) - 1).max() < 0.5
    assert admit(hooks) is None


def test_a_batch_of_one_bad_row_is_refused() -> None:
    hooks = Aggregate().start(Run())
    np.testing.assert_array_equal(combine(hooks, np.full((1, 3), np.nan)), 0)
    assert admit(hooks) is not None


def test_runs_share_nothing_and_go_on_where_they_stopped() -> None:
    first, second = Aggregate().start(Run()), Aggregate().start(Run())
    combine(first, gradients())
    assert facts(second)["steps"] == 0
    assert first.state is not None
    assert second.resume is not None
    second.resume(first.state())
    assert facts(second) == facts(first)


@pytest.mark.parametrize(
    ("chosen", "run", "message"),
    [
        (Aggregate(rule="average"), Run(), "There is no rule 'average'"),
        (Aggregate(micro=2), Run(), "at least 3 micro-batches, not 2"),
        (Aggregate(f=4), Run(), "4 bad micro-batches of 8.*from 0 to 3"),
        (Aggregate(f=-1), Run(), "-1 bad micro-batches"),
        (Aggregate(longest=0.5), Run(), "to 0.5 times the median length"),
        (Aggregate(longest=float("nan")), Run(), "to nan times"),
        (Aggregate(micro=16), Run(batch=8), "batches of 8 rows in 16"),
    ],
)
def test_parameters_without_sense_are_refused(chosen: Aggregate, run: Run, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        chosen.start(run)
