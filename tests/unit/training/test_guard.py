"""What the guard drops, and what it lets pass."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from untaint.errors import BadInput
from untaint.training.base import Batch, Run, Update
from untaint.training.guard import Guard

BATCH = 64
RNG = np.random.default_rng(5)


def sparse() -> np.ndarray:
    return np.where(RNG.random((3000, 30)) < 0.03, RNG.lognormal(0, 1, (3000, 30)), 0.0)


def features() -> np.ndarray:
    """ReLU of a convolution: most images show the same background there, which is rounded differently every time."""
    drawn = np.maximum(RNG.normal(-2, 1, (3000, 60)), 0)
    rare = np.where(RNG.random((3000, 2)) < 0.01, RNG.normal(3, 0.5, (3000, 2)), 0.1 + RNG.uniform(-0.08, 0.08, (3000, 2)))
    return np.column_stack([np.where(drawn > 0, drawn, 0.3 + RNG.normal(0, 3e-8, drawn.shape)), rare])


HONEST: dict[str, Callable[[], np.ndarray]] = {
    "digits as images": lambda: load_digits().images[:, None] / 16,
    "digits in a row": lambda: load_digits().data / 16,
    "unscaled digits": lambda: load_digits().data,
    "wine": lambda: load_wine().data,
    "breast cancer": lambda: load_breast_cancer().data,
    "diabetes": lambda: load_diabetes().data,
    "normal": lambda: RNG.normal(size=(4000, 20)),
    "amounts": lambda: RNG.lognormal(3, 2, (4000, 12)),
    "Student, 2 degrees": lambda: RNG.standard_t(2, (4000, 12)),
    "counts": lambda: RNG.poisson(0.4, (4000, 15)).astype(float),
    "flags": lambda: (RNG.random((4000, 10)) < [0.5, 0.1, 0.02, 0.004, 0.3, 0.9, 0.5, 0.5, 0.01, 0.2]).astype(float),
    "sparse amounts": sparse,
    "one column, nearly": lambda: RNG.standard_t(3, (3000, 1)) @ np.ones((1, 6)) + 1e-3 * RNG.normal(size=(3000, 6)),
    "mixed": lambda: np.column_stack([RNG.lognormal(0, 2, (3000, 4)), RNG.normal(size=(3000, 4)), RNG.random((3000, 4)) < 0.1]),
    "features of a network": features,
    "bytes": lambda: RNG.integers(0, 256, (2000, 3, 8, 8)).astype(np.uint8),
}


def dropped(
    values: np.ndarray, guard: Guard | None = None, targets: np.ndarray | None = None, classes: int | None = None
) -> dict[int, str]:
    """Row → reason, for rows that come in batches, in order."""
    screen = (guard or Guard()).start(Run(classes=classes)).screen
    assert screen is not None
    found: dict[int, str] = {}
    kind = values.dtype if values.dtype == np.uint8 else np.float32
    for start in range(0, len(values), BATCH):
        part = slice(start, start + BATCH)
        rows = np.arange(len(values))[part]
        with np.errstate(over="ignore"):
            batch = Batch((values[part].astype(kind),), None if targets is None else targets[part], rows)
        found |= {start + position: why for position, why in screen(batch).items()}
    return found


@pytest.mark.parametrize("name", HONEST)
def test_honest_rows_pass(name: str) -> None:
    values = HONEST[name]()
    order = np.random.default_rng(1).permutation(len(values))
    assert len(dropped(values[order])) <= len(values) * 1e-3


@pytest.mark.parametrize("row", [3, 500])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e6, 1e3])
@pytest.mark.parametrize("name", ["digits as images", "digits in a row", "normal", "flags"])
def test_one_row_out_of_all_bounds_is_dropped_wherever_it_comes(name: str, value: float, row: int) -> None:
    values = HONEST[name]().astype(float)
    values.reshape(len(values), -1)[row, 7] = value
    assert set(dropped(values)) == {row}


def test_a_column_has_a_scale_of_its_own() -> None:
    values = np.column_stack([RNG.normal(0, 1e6, 2000), RNG.normal(0, 1e-3, 2000)])
    values[700, 1] = 50.0
    assert dropped(values) == {700: "input 0 has a column far out of its range"}


def test_a_row_that_no_column_gives_away_is_seen_by_its_leverage() -> None:
    first = RNG.normal(size=3000)
    values = np.column_stack([first, first + 1e-2 * RNG.normal(size=3000), RNG.normal(size=3000)])
    values[900] = [2.0, -2.0, 0.0]
    assert dropped(values) == {900: "input 0 lies where no other row does (leverage)"}


def test_a_range_that_is_known_holds_from_the_first_row() -> None:
    values = load_digits().images[:100, None] / 16
    values[0] *= 1.5
    assert dropped(values, Guard(low=0, high=1)) == {0: "input 0 is out of range"}
    assert dropped(values) == {}


def test_targets_that_are_no_class_or_out_of_scale() -> None:
    values = RNG.normal(size=(200, 4))
    codes = RNG.integers(0, 3, 200)
    codes[5], codes[80] = -1, 3
    assert dropped(values, targets=codes, classes=3) == {5: "the target is no class", 80: "the target is no class"}
    numbers = RNG.normal(size=200).astype(np.float32)
    numbers[9], numbers[90] = np.nan, 1e6
    assert dropped(values, targets=numbers) == {9: "the target is not finite", 90: "the target is far larger than usual"}


def test_numbers_of_words_are_left_alone() -> None:
    screen = Guard().start(Run()).screen
    assert screen is not None
    words = np.full((50, 9), 31_000)
    words[:40] = 3
    assert screen(Batch((words,), None, np.arange(50))) == {}


def test_inputs_are_not_changed() -> None:
    values = RNG.normal(size=(100, 4)).astype(np.float32)
    before = values.copy()
    dropped(values)
    np.testing.assert_array_equal(values, before)


def test_updates_that_are_not_finite_or_far_too_long_are_refused() -> None:
    hooks = Guard().start(Run())
    assert hooks.admit is not None
    norms = RNG.lognormal(0, 0.5, 200)
    assert [hooks.admit(Update(norm, 1.0, finite=True, epoch=0, step=step)) for step, norm in enumerate(norms)] == [None] * 200
    assert hooks.admit(Update(np.inf, 1.0, finite=False, epoch=0, step=201)) == "the gradient is not finite"
    assert hooks.admit(Update(1e4, 1.0, finite=True, epoch=0, step=202)) == "the gradient is over 100 times as long as usual"


def test_gradients_that_stay_long_are_what_is_usual_then() -> None:
    admit = Guard().start(Run()).admit
    assert admit is not None
    for step in range(60):
        admit(Update(1.0, 1.0, finite=True, epoch=0, step=step))
    said = [admit(Update(500.0, 1.0, finite=True, epoch=0, step=60 + step)) for step in range(10)]
    assert [reason is None for reason in said] == [False] * 6 + [True] * 4


def test_a_collapse_is_seen_after_three_losses_and_one_bad_batch_is_none() -> None:
    hooks = Guard().start(Run())
    assert hooks.watch is not None
    falling = 2.3 * np.exp(-np.arange(200) / 30) + 0.05 * RNG.random(200)
    calm = [hooks.watch(Update(1.0, loss, finite=True, epoch=0, step=step)) for step, loss in enumerate(falling)]
    assert "back" not in calm
    assert calm.count("good") == 200 // 25
    one = [hooks.watch(Update(1.0, loss, finite=True, epoch=0, step=0)) for loss in (40.0, 40.0, 0.1, 40.0, 40.0, 40.0)]
    assert [advice == "back" for advice in one] == [False, False, False, False, False, True]
    assert hooks.watch(Update(1.0, 0.1, finite=False, epoch=0, step=0)) == "back"


def test_a_run_taken_up_judges_as_the_one_that_was_stopped() -> None:
    values = RNG.lognormal(0, 1, (400, 6)).astype(np.float32)
    one, other = Guard().start(Run()), Guard().start(Run())
    assert one.screen is not None
    assert other.screen is not None
    assert one.state is not None
    assert other.resume is not None
    for start in range(0, 300, BATCH):
        one.screen(Batch((values[start : start + BATCH],), None, np.arange(BATCH)))
    other.resume({name: value.copy() for name, value in one.state().items()})
    values[350] *= 1e9
    last = Batch((values[300:],), None, np.arange(100))
    assert one.screen(last) == other.screen(last)
    assert list(one.screen(last)) == [50]


def test_a_range_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="low under high"):
        Guard(low=1, high=0).start(Run())
