"""A guard in front of a model: what it alarms about, how often, what it needs, and that it comes back from disk as it was."""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scipy.special import softmax
from tests.unit.guard import planted
from torch import nn

from untaint import Guard
from untaint.errors import BadInput, CannotWrite, UnfitInput
from untaint.guard.model_guard import NO_ANSWER
from untaint.guard.policy import answering
from untaint.guard.signs.base import Seen, signs, stage
from untaint.nets.subject import Reference, subject

IMAGES, LABELS = planted.digits()
HELD, HELD_LABELS = IMAGES[1200:], LABELS[1200:]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return planted.planted(IMAGES[:600], LABELS[:600])


@pytest.fixture(scope="module")
def guard(model: nn.Module) -> Guard:
    return Guard.fit(model, planted.reference(IMAGES[600:1200], LABELS[600:1200]), false_alarms=0.05)


def triggered() -> np.ndarray:
    return planted.stamped(HELD[HELD_LABELS != planted.TARGET])


def test_triggered_inputs_raise_alarms_and_clean_ones_within_the_budget(guard: Guard, model: nn.Module) -> None:
    clean, attacked = guard(HELD), guard(triggered())
    assert (attacked.said == planted.TARGET).mean() > 0.95
    assert attacked.alarm.mean() > 0.95
    assert clean.alarm.mean() < 0.1
    assert (attacked.risk > 0.99).mean() > 0.9
    np.testing.assert_array_equal(clean.alarm, clean.p_value <= 0.05)
    np.testing.assert_allclose(clean.logits, subject(model).logits(HELD), rtol=1e-5)
    assert len(clean) == len(HELD)
    assert set(attacked.sign) <= set(signs()) | {""}
    assert guard.held == pytest.approx(30 / 601)
    assert guard.n == 600
    assert guard.overhead > 1
    assert set(guard.skipped) == {"noisy-rows", "swapped-cells"}


def test_an_input_is_judged_the_same_alone_and_in_company(guard: Guard) -> None:
    together = guard(HELD[:40])
    alone = [guard(each[None]) for each in HELD[:40]]
    np.testing.assert_allclose(np.concatenate([each.risk for each in alone]), together.risk, atol=1e-3)
    np.testing.assert_allclose(np.concatenate([each.p_value for each in alone]), together.p_value, atol=0.01)


def test_a_black_box_of_probabilities_is_guarded_too(model: nn.Module) -> None:
    whole = subject(model)
    box = Guard.fit(lambda inputs: softmax(whole.logits(inputs), axis=1), IMAGES[600:1200], false_alarms=0.05)
    assert {sign.id for sign in box.signs} == {"dimmed", "jolted", "kernel-opinion", "second-opinion", "strip"}
    assert set(box.skipped) == {"gram", "inner-dropout", "layer-centres", "nearest-rank", "noisy-rows", "swapped-cells"}
    assert box(triggered()).alarm.mean() > 0.9
    assert box(HELD).alarm.mean() < 0.1


def test_rows_of_a_table_are_guarded_without_operators_of_images() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1200, 6)).astype(np.float32)
    labels = (rows[:, 0] + rows[:, 1] > 0).astype(int)

    def answer(given: np.ndarray) -> np.ndarray:
        ahead = 4 * (given[:, 0] + given[:, 1]) + 40 * (given[:, 5] == 1.25)
        return np.stack([-ahead, ahead], 1)

    made = Guard.fit(answer, Reference(rows[:600], labels[:600], ("no", "yes")), false_alarms=0.05)
    assert {sign.id for sign in made.signs} == {"kernel-opinion", "noisy-rows", "second-opinion", "strip", "swapped-cells"}
    attacked = rows[600:][labels[600:] == 0]
    attacked[:, 5] = 1.25
    assert made(attacked).alarm.mean() > 0.9
    assert made(rows[600:]).alarm.mean() < 0.1


def test_false_alarms_keep_to_the_budget_over_many_guards() -> None:
    shares = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(1400, 8)).astype(np.float32)
        weights = rng.normal(size=(8, 4))
        made = Guard.fit(lambda given, weights=weights: 3 * given @ weights, rows[:400], false_alarms=0.05, seed=seed)
        shares.append(made(rows[400:]).alarm.mean())
    assert np.mean(shares) == pytest.approx(0.05, rel=0.2)


def test_answers_that_are_no_numbers_are_alarms(guard: Guard) -> None:
    def broken(inputs: np.ndarray) -> np.ndarray:
        logits = guard.subject.logits(inputs)
        logits[inputs[:, 0, 0, 0] == 7] = np.nan
        return logits

    made = Guard.fit(broken, IMAGES[600:1200], false_alarms=0.05)
    asked = HELD[:3].copy()
    asked[1, 0, 0, 0] = 7
    judged = made(asked)
    assert judged.alarm[1]
    assert judged.sign[1] == NO_ANSWER
    assert np.isnan(judged.logits[1]).all()
    with pytest.raises(BadInput, match="answers references with NaN"):
        Guard.fit(broken, np.concatenate([asked, IMAGES[:100]]), false_alarms=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found[:, :4], r"4x8x1 uint8 are not like the references, 8x8x1 uint8"),
        (lambda found: found.astype(np.float16), "float16"),
        (lambda found: found[0], "8x1 uint8"),
    ],
)
def test_inputs_unlike_the_references_are_refused(guard: Guard, change: Callable[[np.ndarray], np.ndarray], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        guard(change(HELD))


def test_no_inputs_no_judgement(guard: Guard) -> None:
    assert len(guard(HELD[:0])) == 0


@pytest.mark.parametrize(
    ("given", "budget", "message"),
    [
        (planted.reference(IMAGES[:60], LABELS[:60]), 0.01, "60 references cannot hold a budget of 0.01. Give at least 99"),
        (planted.reference(IMAGES[:10], LABELS[:10]), 0.5, "at least 20"),
        (planted.reference(IMAGES[:60], LABELS[:60]), 0.0, "between 0 and 1"),
        (Reference(IMAGES[:60], LABELS[:60], tuple(map(str, range(12)))), 0.05, "12 classes, Planted answers with 10"),
        (planted.reference(IMAGES[:60], (LABELS[:60] + 1) % 10), 0.05, "is right about 0 of 60"),
        (Reference(IMAGES[:60, :4], LABELS[:60], tuple(map(str, range(10)))), 0.05, "the model refuses inputs of 4x8x1"),
    ],
)
def test_references_that_will_not_do(model: nn.Module, given: Reference, budget: float, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Guard.fit(model, given, false_alarms=budget)


def test_few_references_per_class_hold_a_budget_they_can_tell(model: nn.Module) -> None:
    made = Guard.fit(model, IMAGES[600:660], false_alarms=0.05)
    assert made.held == pytest.approx(3 / 61)
    assert made(HELD).alarm.mean() < 0.15


def test_a_guard_comes_back_from_disk(guard: Guard, model: nn.Module, tmp_path: Path) -> None:
    guard.save(tmp_path / "guard.safetensors")
    again = Guard.load(tmp_path / "guard.safetensors", model)
    np.testing.assert_allclose(again(HELD[:50]).risk, guard(HELD[:50]).risk, atol=1e-6)
    assert (again.held, again.overhead, again.skipped, again.signs) == (guard.held, guard.overhead, guard.skipped, guard.signs)
    with pytest.raises(CannotWrite):
        guard.save(tmp_path / "none" / "guard.safetensors")


def test_a_model_that_was_changed_is_noticed(guard: Guard, tmp_path: Path) -> None:
    guard.save(tmp_path / "guard.safetensors")
    other = planted.planted(IMAGES[:300], LABELS[:300])
    with pytest.raises(BadInput, match="answers otherwise than when"):
        Guard.load(tmp_path / "guard.safetensors", other)
    assert Guard.load(tmp_path / "guard.safetensors", other, other_model=True).n == guard.n
    with pytest.raises(BadInput, match="does not fit"):
        Guard.load(tmp_path / "guard.safetensors", lambda given: np.zeros((len(given), 3)))


def test_files_that_are_no_guard(guard: Guard, model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "guard.safetensors"
    with pytest.raises(BadInput, match="no such guard"):
        Guard.load(path, model)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(BadInput, match="is no guard"):
        Guard.load(path, model)
    save_file({"a": np.zeros(2)}, path)
    with pytest.raises(BadInput, match="no guard of untaint"):
        Guard.load(path, model)
    header = {"schema": "untaint.model-guard/v1", "signs": ["strip()"], "folds": 2}
    save_file({"a": np.zeros(2)}, path, {"untaint.guard": json.dumps(header)})
    with pytest.raises(BadInput, match="parts missing"):
        Guard.load(path, model)
    guard.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match="is no guard"):
        Guard.load(path, model)


def test_before_a_function_alarms_are_logged_or_refused(guard: Guard, caplog: pytest.LogCaptureFixture) -> None:
    clean = HELD[guard(HELD).p_value > 0.3][:5]
    with caplog.at_level(logging.WARNING, "untaint.guard"):
        assert answering(guard, "observe")(clean).shape == (5, 10)
        assert not caplog.records
        assert answering(guard, "observe")(triggered()[:3]).shape == (3, 10)
    assert "of 3 inputs are not like the references (input 0:" in caplog.text
    with pytest.raises(UnfitInput, match="not like the references"):
        answering(guard)(triggered()[:3])
    with pytest.raises(ValueError, match="Look at them"):
        answering(guard)(triggered()[:3])
    with pytest.raises(BadInput, match="observe, annotate, refuse"):
        answering(guard, "block")


@pytest.mark.parametrize("name", sorted(signs()))
def test_every_sign_says_when_it_works_and_gives_numbers_of_one_row_per_input(name: str, model: nn.Module) -> None:
    kind = signs()[name]
    sign, whose = kind(), subject(model)
    for section in ("Works when:", "Fails when:", "Cost:", "Reference:"):
        assert section in str(kind.__doc__)
    images = Seen(HELD, *whose.traced(HELD, lambda values: values.reshape(len(values), -1, 1)))
    rows = Seen(HELD.reshape(len(HELD), -1) / np.float32(255), images.logits, images.layers)
    seen, asked = (images, whose) if not sign.unfit(whose, images) else (rows, subject(lambda given: images.logits[: len(given)]))
    assert sign.unfit(asked, seen) == ""
    rng = np.random.default_rng(0)
    prepared = sign.prepare(seen, rng)
    given = seen.inputs.copy()
    few = seen.only(np.arange(20))
    measured = sign.measure(asked, seen, prepared)
    learned = sign.learn(tuple(each[20:] for each in measured), seen.said[20:], 10)
    numbers = sign.compare(tuple(each[:20] for each in measured), few.said, learned)
    assert numbers.ndim == 2
    assert len(numbers) == 20
    assert np.isfinite(numbers).all()
    assert all(isinstance(each, np.ndarray) for each in [*prepared.values(), *learned.values()])
    np.testing.assert_array_equal(seen.inputs, given)
    np.testing.assert_allclose(sign.compare(sign.measure(asked, few, prepared), few.said, learned), numbers, rtol=1e-3, atol=1e-3)
    assert stage(sign, True) == (1 if sign.passes == 0 else 2)


def test_the_model_is_left_in_training_and_without_hooks(model: nn.Module) -> None:
    model.train()
    Guard.fit(model, IMAGES[600:700], false_alarms=0.05)
    assert all(layer.training for layer in model.modules())
    assert not any(layer._forward_hooks for layer in model.modules())
    model.eval()


def test_half_precision_models_are_guarded(model: nn.Module) -> None:
    half = planted.planted(IMAGES[:600], LABELS[:600]).to(torch.bfloat16)
    made = Guard.fit(half, IMAGES[600:900], false_alarms=0.05)
    assert made(triggered()[:50]).alarm.mean() > 0.8


def test_threads_that_ask_one_model_do_not_hear_each_other(guard: Guard, model: nn.Module) -> None:
    alone, answers = guard(HELD).risk, subject(model).logits(HELD)
    with ThreadPoolExecutor(4) as pool:
        judging = [pool.submit(guard, HELD) for _ in range(4)]
        asking = [pool.submit(subject(model).logits, HELD) for _ in range(12)]
        for found in judging:
            np.testing.assert_allclose(found.result().risk, alone, atol=1e-4)
        for each in asking:
            np.testing.assert_allclose(each.result(), answers, atol=1e-4)


def test_codes_are_no_amounts() -> None:
    tokens = np.random.default_rng(0).integers(0, 50, (300, 12))
    made = Guard.fit(lambda given: np.stack([(given < 25).sum(1), (given >= 25).sum(1)], 1), tokens, false_alarms=0.05)
    assert {sign.id for sign in made.signs} == {"strip", "swapped-cells"}
    assert made.skipped["second-opinion"] == "the inputs are codes, not amounts"
