"""Every defence, whatever it does: a manual, repeatable chance, inputs untouched, finite answers to any row, a state to take up."""

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.registry import build, spec
from untaint.training.base import PACKAGE, Batch, Defence, Hooks, Run, Seen, State
from untaint.training.compose import RECIPES, defences, recipe

DEFENCES: Mapping[str, type[Defence]] = defences()
N, CLASSES = 24, 4
RUN = Run(seed=3, rows=N * 4, batch=N, epochs=5, steps=20, classes=CLASSES)
NEEDS: dict[str, dict[str, object]] = {"risk": {"samples": tuple(np.linspace(0, 1, N * 4).tolist())}}
"""Parameters without which a defence is nothing."""
HOOKED = sorted(name for name, kind in DEFENCES.items() if "ensemble" not in kind.traits)
VALUES = [1e3, 1e30, np.inf, np.nan]


def _made(name: str) -> Defence:
    return DEFENCES[name](**NEEDS.get(name, {}))


def _batch(value: float | None = None, epoch: int = 0) -> Batch:
    rng = np.random.default_rng([7, epoch])
    images = rng.random((N, 1, 8, 8)).astype(np.float32)
    if value is not None:
        images[5] = value
    return Batch((images,), rng.integers(0, CLASSES, N), np.arange(N), epoch, epoch)


def _slope(inputs: np.ndarray, _targets: np.ndarray) -> np.ndarray:
    return np.sign(inputs - 0.5).astype(inputs.dtype)


def _answers(hooks: Hooks, value: float | None, epochs: range = range(3)) -> list[np.ndarray]:
    """Everything the hooks say in some steps, as arrays."""
    return [answer for epoch in epochs for answer in _step(hooks, value, epoch)]


def _step(hooks: Hooks, value: float | None, epoch: int) -> Iterator[np.ndarray]:
    batch = _batch(value, epoch)
    rng = np.random.default_rng([9, epoch])
    if hooks.sample is not None:
        yield hooks.sample()
    if hooks.screen is not None:
        yield np.array(sorted(hooks.screen(batch)))
    if hooks.alter is not None:
        yield from hooks.alter(batch, _slope).inputs
    if hooks.weigh is not None:
        losses, outputs = rng.exponential(size=N), rng.normal(size=(N, CLASSES))
        if value is not None:
            losses[5], outputs[5] = value, value
        yield hooks.weigh(Seen(losses, outputs, np.arange(N) % CLASSES, batch.rows, epoch, epoch))
    if hooks.bound is not None:
        norms = rng.exponential(size=N)
        norms[5] = norms[5] if value is None else value
        yield hooks.bound(norms)
    if hooks.combine is not None:
        stack = rng.normal(size=(hooks.micro, 50)).astype(np.float32)
        stack[0] = stack[0] if value is None else value
        yield hooks.combine(stack)
    if hooks.settle is not None:
        yield hooks.settle(rng.normal(size=50).astype(np.float32), N)


@pytest.mark.parametrize("name", DEFENCES)
def test_the_docstring_is_a_manual_page(name: str) -> None:
    manual = inspect.cleandoc(DEFENCES[name].__doc__ or "")
    for section in ("Stops:", "Does not stop:", "Needs:", "Cost:", "Reference:"):
        assert f"\n{section}" in manual, f"{name} says nothing under {section}"


@pytest.mark.parametrize("name", [name for name in DEFENCES if name not in NEEDS])
def test_a_spec_builds_the_same_again(name: str) -> None:
    made = _made(name)
    assert build(Defence, PACKAGE, spec(made)) == made  # type: ignore[type-abstract]


@pytest.mark.parametrize("name", HOOKED)
def test_equal_seeds_give_equal_answers(name: str) -> None:
    one, other = (_answers(_made(name).start(RUN), None) for _ in range(2))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", HOOKED)
def test_batches_are_left_as_they_are(name: str) -> None:
    hooks = _made(name).start(RUN)
    batch = _batch()
    before = batch.inputs[0].copy()
    if hooks.screen is not None:
        hooks.screen(batch)
    if hooks.alter is not None:
        hooks.alter(batch, _slope)
    np.testing.assert_array_equal(batch.inputs[0], before)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", HOOKED)
def test_one_bad_row_leaves_the_answers_on_the_others_finite(name: str, value: float) -> None:
    for answer in _answers(_made(name).start(RUN), value):
        others = np.delete(answer, 5, axis=0) if len(answer) == N and answer.dtype.kind == "f" else answer
        assert np.isfinite(others).all()


@pytest.mark.parametrize("name", HOOKED)
def test_a_run_taken_up_goes_on_as_it_would_have(name: str) -> None:
    whole, first, second = (_made(name).start(RUN) for _ in range(3))
    expected = _answers(whole, None, range(6))
    _answers(first, None)
    if first.state is None:
        assert first.resume is None
        return
    assert second.resume is not None
    held: State = {key: np.array(value) for key, value in first.state().items()}
    second.resume(held)
    found = _answers(second, None, range(3, 6))
    for one, other in zip(found, expected[-len(found) :], strict=True):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("name", HOOKED)
def test_what_happened_can_be_written_as_json(name: str) -> None:
    hooks = _made(name).start(RUN)
    _answers(hooks, None)
    facts: Any = {} if hooks.facts is None else dict(hooks.facts())
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize("name", sorted(set(DEFENCES) - set(HOOKED)))
def test_what_trains_many_models_says_that_it_cannot_be_hooked_in(name: str) -> None:
    with pytest.raises(BadInput, match="cannot be hooked"):
        _made(name).start(RUN)


@pytest.mark.parametrize("name", RECIPES)
def test_a_named_recipe_is_sound_and_says_what_it_is_for(name: str) -> None:
    made = recipe(name)
    assert made.name == name
    assert len(made.about) > 20
    assert recipe(made.spec()).defences == made.defences if made.defences else name == "plain"


@pytest.mark.parametrize("pair", ["guard + dp", "clip + dp", "aggregate + dp", "trim + certify", "clip + clip"])
def test_what_is_unsound_together_is_refused_with_the_reason(pair: str) -> None:
    with pytest.raises(BadInput, match="unsound|holds clip"):
        recipe(pair)
