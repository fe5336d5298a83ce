"""Augmentation as a defence."""

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.training.augment import Augment
from untaint.training.base import Batch, Run

WILD = [1e3, 1e30, np.inf, np.nan]
PLAIN: dict[str, object] = {"cutmix": 0.0, "shift": 0, "noise": 0.0, "jpeg": 0}


def images(shape: tuple[int, ...] = (8, 1, 12, 10), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def no_slope(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    raise AssertionError


def altered(
    defence: Augment, inputs: np.ndarray, step: int = 0, run: Run | None = None, targets: np.ndarray | None = None
) -> Batch:
    n = len(inputs)
    hook = defence.start(run or Run(classes=4)).alter
    assert hook is not None
    given = np.arange(n) % 4 if targets is None else targets
    return hook(Batch((inputs,), given, np.arange(n), 1, step), no_slope)


@pytest.mark.parametrize("shape", [(8, 1, 12, 10), (8, 12, 10, 3), (8, 12, 10)])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_shape_kind_range_and_inputs_are_kept(shape: tuple[int, ...], kind: str) -> None:
    given = images(shape).astype(kind)
    before = given.copy()
    found = altered(Augment(flip=True, erase=0.5), given).inputs[0]
    assert (found.shape, found.dtype) == (shape, given.dtype)
    assert 0 <= found.min() <= found.max() <= 1
    np.testing.assert_array_equal(given, before)
    assert (found != given).any(axis=tuple(range(1, len(shape)))).all()


def test_nothing_chosen_changes_nothing() -> None:
    np.testing.assert_allclose(altered(Augment(**PLAIN), images()).inputs[0], images(), atol=1e-7)  # type: ignore[arg-type]


def test_chance_follows_seed_and_step_so_that_a_resumed_run_goes_on_alike() -> None:
    first, again, later = (altered(Augment(), images(), step).inputs[0] for step in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != later).any()
    assert (first != altered(Augment(), images(), 3, Run(seed=1)).inputs[0]).any()


def test_layouts_mean_the_same() -> None:
    first = altered(Augment(), images((8, 3, 12, 10))).inputs[0]
    last = altered(Augment(), images((8, 3, 12, 10)).transpose(0, 2, 3, 1)).inputs[0]
    np.testing.assert_allclose(first, last.transpose(0, 3, 1, 2))


def test_a_range_of_another_kind_is_kept() -> None:
    given = images() * 255
    found = altered(Augment(high=255.0), given).inputs[0]
    assert found.max() > 100
    np.testing.assert_allclose(found / 255, altered(Augment(), images()).inputs[0], atol=2e-2)


def test_noise_is_bounded() -> None:
    given = np.full((8, 1, 12, 10), 0.5, np.float32)
    found = altered(Augment(**{**PLAIN, "noise": 0.1}), given).inputs[0]  # type: ignore[arg-type]
    assert 0.08 < np.abs(found - given).max() <= 0.1 + 1e-6


def test_cutmix_shows_the_other_and_soft_targets_say_how_much() -> None:
    given = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None, None] / 4, (4, 1, 10, 10)).copy()
    found = altered(Augment(**{**PLAIN, "cutmix": 1.0, "soft": True}), given)  # type: ignore[arg-type]
    assert found.targets is not None
    assert found.targets.shape == (4, 4)
    for row in range(4):
        shares = [np.isclose(found.inputs[0][row], other / 4).mean() for other in range(4)]
        np.testing.assert_allclose(found.targets[row], shares, atol=1e-6)
    assert (found.targets.argmax(1) == np.arange(4)).all()


def test_a_row_mixed_with_one_that_has_no_class_keeps_its_own() -> None:
    found = altered(Augment(cutmix=1.0, soft=True), images(), targets=np.array([0, -1, 1, 2, 3, -1, 0, 1]))
    assert found.targets is not None
    np.testing.assert_allclose(found.targets[[0, 2, 3, 4, 6, 7]].sum(1), 1, atol=1e-6)
    assert (found.targets >= 0).all()


def test_without_soft_labels_stay() -> None:
    found = altered(Augment(cutmix=1.0), images())
    np.testing.assert_array_equal(found.targets, np.arange(8) % 4)


@pytest.mark.parametrize("bad", WILD)
@pytest.mark.parametrize("chosen", [Augment(), Augment(cutmix=1.0, soft=True, erase=1.0, flip=True)])
def test_one_wild_row_spoils_no_other(bad: float, chosen: Augment) -> None:
    given = images()
    given[3, 0, 4, 4] = bad
    with np.errstate(all="raise", under="ignore"):
        found = altered(chosen, given)
    others = np.delete(found.inputs[0], 3, axis=0)
    assert np.isfinite(others).all()
    assert 0 <= others.min() <= others.max() <= 1
    assert found.targets is not None
    assert np.isfinite(found.targets).all()


def test_a_batch_of_nothing_but_wild_rows_stays() -> None:
    given = np.full((2, 1, 8, 8), np.nan, np.float32)
    np.testing.assert_array_equal(altered(Augment(), given).inputs[0], given)


def test_further_inputs_stay() -> None:
    hook = Augment().start(Run()).alter
    assert hook is not None
    extra = np.arange(8)
    found = hook(Batch((images(), extra), None, extra), no_slope)
    assert found.inputs[1] is extra
    assert found.targets is None


@pytest.mark.parametrize("shape", [(4, 10), (4, 3, 5, 3), (4, 7, 5, 9)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"image|colour"):
        altered(Augment(), images(shape))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cutmix": 1.5},
        {"jpeg": 101},
        {"jpeg": 0.5},
        {"shift": -1},
        {"low": 1.0},
        {"high": float("inf")},
        {"channels": "middle"},
        {"noise": float("nan")},
    ],
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Augment(**wrong).start(Run())  # type: ignore[arg-type]


def test_soft_targets_without_a_number_of_classes_are_refused() -> None:
    with pytest.raises(BadInput, match="classes"):
        Augment(soft=True).start(Run())
