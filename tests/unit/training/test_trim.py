"""Bounded and trimmed losses as a defence."""

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.training.base import Run, Seen
from untaint.training.trim import Trim

WILD = [1e3, 1e30, np.inf, np.nan]


def seen(outputs: np.ndarray, targets: np.ndarray, losses: np.ndarray | None = None, step: int = 900) -> Seen:
    if losses is None:
        losses = np.arange(len(outputs), dtype=float)
    return Seen(losses, outputs, targets, np.arange(len(outputs)), 0, step)


def weights(defence: Trim, what: Seen) -> np.ndarray:
    hook = defence.start(Run()).weigh
    assert hook is not None
    return hook(what)


def test_a_row_counts_as_much_as_its_label_is_believed() -> None:
    outputs = np.log(np.array([[0.9, 0.1], [0.9, 0.1]]))
    found = weights(Trim(power=0.5), seen(outputs, np.array([0, 1])))
    np.testing.assert_allclose(found, [0.9**0.5, 0.1**0.5])


def test_without_power_all_count() -> None:
    np.testing.assert_array_equal(weights(Trim(power=0), seen(np.eye(4) * 9, np.array([3, 1, 2, 0]))), 1.0)


def test_the_worst_are_left_out_after_the_first_steps() -> None:
    chosen = Trim(power=0, share=0.25, after=2)
    assert weights(chosen, seen(np.eye(4), np.arange(4), step=1)).tolist() == [1, 1, 1, 1]
    assert weights(chosen, seen(np.eye(4), np.arange(4), step=2)).tolist() == [1, 1, 1, 0]


def test_rows_that_are_hardly_believed_count_nothing_after_the_first_steps() -> None:
    outputs = np.log(np.array([[0.99, 0.01], [0.9, 0.1]]))
    chosen = Trim(power=0.5, least=0.05, after=2)
    np.testing.assert_allclose(weights(chosen, seen(outputs, np.array([1, 1]), step=1)), [0.01**0.5, 0.1**0.5])
    np.testing.assert_allclose(weights(chosen, seen(outputs, np.array([1, 1]), step=2)), [0, 0.1**0.5])


def test_regression_bounds_residuals() -> None:
    outputs, targets = np.zeros((5, 1)), np.array([[1.0], [-1.0], [1.0], [1.0], [-100.0]])
    found = weights(Trim(), seen(outputs, targets))
    assert found[:4].tolist() == [1, 1, 1, 1]
    assert found[4] == pytest.approx(1.345 * 1.4826 / 100)
    np.testing.assert_array_equal(weights(Trim(width=0), seen(outputs, targets)), 1.0)


def test_numbers_that_sum_to_one_are_no_shares_when_negative() -> None:
    outputs, targets = np.zeros((3, 2)), np.array([[2.0, -1.0], [-1.0, 2.0], [200.0, -199.0]])
    assert weights(Trim(), seen(outputs, targets))[2] < 0.1


def test_a_single_logit_with_codes_is_judged_by_its_loss() -> None:
    found = weights(Trim(power=1), seen(np.zeros((2, 1)), np.array([0, 1]), np.array([0.0, 2.0])))
    np.testing.assert_allclose(found, [1, np.exp(-2)])


@pytest.mark.parametrize("bad", WILD)
@pytest.mark.parametrize("place", ["losses", "outputs", "targets"])
@pytest.mark.parametrize("shape", ["codes", "shares", "numbers"])
def test_one_wild_row_changes_no_other(bad: float, place: str, shape: str) -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(9, 3))
    targets = {"codes": rng.integers(0, 3, 9), "shares": np.eye(3)[rng.integers(0, 3, 9)], "numbers": rng.normal(size=(9, 3))}[
        shape
    ]
    losses = rng.random(9)
    before = weights(Trim(width=0 if shape == "numbers" else 1.0), seen(outputs, targets, losses))
    if place == "targets" and shape == "codes":
        targets = np.where(np.arange(9) == 4, -1, targets)
    else:
        {"losses": losses, "outputs": outputs, "targets": targets}[place][4] = bad
    with np.errstate(all="raise", under="ignore"):
        after = weights(Trim(width=0 if shape == "numbers" else 1.0), seen(outputs, targets, losses))
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(np.delete(after, 4), np.delete(before, 4))


@pytest.mark.parametrize("bad", WILD)
def test_a_wild_number_keeps_no_weight_in_regression(bad: float) -> None:
    targets = np.random.default_rng(0).normal(size=9)
    targets[4] = bad
    found = weights(Trim(), seen(np.zeros(9), targets))
    assert np.isfinite(found).all()
    assert found[4] < 0.01


def test_a_resumed_run_counts_on() -> None:
    first, second = Trim(share=0.5).start(Run()), Trim(share=0.5).start(Run())
    assert first.weigh is not None
    assert second.weigh is not None
    assert first.state is not None
    assert second.resume is not None
    assert first.facts is not None
    assert second.facts is not None
    losses = np.array([np.nan, 1.0, 2.0, 3.0])
    first.weigh(seen(np.eye(4), np.arange(4), losses))
    second.resume(first.state())
    first.weigh(seen(np.eye(4), np.arange(4)))
    second.weigh(seen(np.eye(4), np.arange(4)))
    assert first.facts() == second.facts()
    assert first.facts()["left_out"] == 4
    assert first.facts()["not_finite"] == 1


@pytest.mark.parametrize(
    "wrong", [{"power": 2.0}, {"least": -1}, {"power": "much"}, {"share": 0.7}, {"after": -1}, {"width": float("nan")}]
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Trim(**wrong).start(Run())  # type: ignore[arg-type]
