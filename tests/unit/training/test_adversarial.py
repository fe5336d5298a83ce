"""Training on inputs changed against the network, with a linear network written out."""

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.training.adversarial import Adversarial
from untaint.training.base import Batch, Run

WILD = [1e3, 1e30, np.inf, np.nan]
WEIGHTS = np.random.default_rng(9).normal(size=(3, 6))


def chances(inputs: np.ndarray) -> np.ndarray:
    logits = inputs @ WEIGHTS.T
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def losses(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return -np.log(chances(inputs)[np.arange(len(inputs)), targets])


def slope(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    wanted = np.eye(3)[targets] if targets.ndim == 1 else targets
    return (chances(inputs) - wanted) @ WEIGHTS


def batch(n: int = 8, epoch: int = 0, step: int = 0) -> Batch:
    rng = np.random.default_rng(0)
    return Batch((rng.random((n, 6)),), np.arange(n) % 3, np.arange(n), epoch, step)


def altered(defence: Adversarial, given: Batch, run: Run | None = None) -> Batch:
    hook = defence.start(run or Run()).alter
    assert hook is not None
    return hook(given, slope)


def test_evasion_raises_the_loss_of_every_row_within_reach_and_range() -> None:
    given = batch()
    found = altered(Adversarial(share=1.0, eps=0.1), given)
    assert given.targets is not None
    assert (losses(found.inputs[0], given.targets) > losses(given.inputs[0], given.targets)).all()
    assert np.abs(found.inputs[0] - given.inputs[0]).max() <= 0.1 + 1e-12
    assert 0 <= found.inputs[0].min() <= found.inputs[0].max() <= 1
    np.testing.assert_array_equal(found.targets, given.targets)
    np.testing.assert_array_equal(given.inputs[0], batch().inputs[0])


def test_on_a_linear_network_the_search_ends_in_the_worst_corner() -> None:
    two = Batch((np.full((1, 6), 0.5),), np.array([0]), np.array([0]))
    found = altered(Adversarial(share=1.0, eps=0.01, steps=5), two).inputs[0]
    np.testing.assert_allclose(found, 0.5 + 0.01 * np.sign(slope(two.inputs[0], np.array([0]))))


def test_against_poison_rows_go_towards_another_class() -> None:
    given = batch()
    found = altered(Adversarial(against="poison", share=1.0, eps=0.2), given)
    assert given.targets is not None
    own = np.eye(3, dtype=bool)[given.targets]
    risen = chances(found.inputs[0]) - chances(given.inputs[0])
    assert (np.where(own, -1, risen).max(1) > 0).all()
    np.testing.assert_array_equal(found.targets, given.targets)


@pytest.mark.parametrize("targets", [np.zeros(8, np.int64), np.full((8, 3), 1 / 3)])
def test_against_poison_a_batch_of_one_class_is_borne(targets: np.ndarray) -> None:
    given = Batch(batch().inputs, targets, np.arange(8))
    assert np.isfinite(altered(Adversarial(against="poison"), given).inputs[0]).all()


def test_half_of_the_rows_stay_and_which_follows_the_step() -> None:
    chosen = Adversarial(share=0.5)
    first, again, later = (altered(chosen, batch(64, step=step)).inputs[0] for step in (1, 1, 2))
    assert (first != batch(64).inputs[0]).any(1).sum() == 32
    np.testing.assert_array_equal(first, again)
    assert (first != later).any()


def test_nothing_is_changed_before_its_epoch() -> None:
    given = batch(epoch=1)
    assert altered(Adversarial(after=2), given) is given
    assert altered(Adversarial(share=0.0), given) is given


def test_inputs_keep_their_kind() -> None:
    given = Batch((batch().inputs[0].astype(np.float32), np.arange(8)), np.zeros(8, np.int64), np.arange(8))
    found = altered(Adversarial(), given)
    assert found.inputs[0].dtype == np.float32
    assert found.inputs[1] is given.inputs[1]


@pytest.mark.parametrize("bad", WILD)
@pytest.mark.parametrize("against", ["evasion", "poison"])
def test_one_wild_row_stays_as_it_is_and_spoils_no_other(bad: float, against: str) -> None:
    given = batch()
    given.inputs[0][2, 3] = bad
    with np.errstate(all="ignore"):
        found = altered(Adversarial(share=1.0, against=against), given).inputs[0]  # type: ignore[arg-type]
    np.testing.assert_array_equal(found[2], given.inputs[0][2])
    others = np.delete(found, 2, axis=0)
    assert np.isfinite(others).all()
    assert (others != np.delete(given.inputs[0], 2, axis=0)).any(1).all()


def test_a_slope_that_is_not_finite_moves_nothing_away_from_reach() -> None:
    hook = Adversarial(share=1.0, eps=0.05).start(Run()).alter
    assert hook is not None
    found = hook(batch(), lambda inputs, targets: np.full_like(inputs, np.nan)).inputs[0]
    assert np.abs(found - batch().inputs[0]).max() <= 0.05 + 1e-12


def test_the_warning_is_told_with_the_facts() -> None:
    facts = Adversarial().start(Run()).facts
    assert facts is not None
    assert "clean-label backdoors" in str(facts()["warning"])
    other = Adversarial(against="poison").start(Run()).facts
    assert other is not None
    assert "warning" not in other()


@pytest.mark.parametrize(
    "given",
    [Batch((np.zeros((2, 3), np.int64),), np.zeros(2, np.int64), np.arange(2)), Batch((np.zeros((2, 3)),), None, np.arange(2))],
)
def test_what_cannot_be_changed_is_refused(given: Batch) -> None:
    with pytest.raises(BadInput, match="needs"):
        altered(Adversarial(), given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"against": "both"},
        {"share": 2},
        {"eps": -1},
        {"eps": float("inf")},
        {"steps": 0},
        {"step": "big"},
        {"high": -1.0},
        {"after": 1.5},
    ],
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Adversarial(**wrong).start(Run())  # type: ignore[arg-type]
