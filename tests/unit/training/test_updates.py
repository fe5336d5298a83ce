"""Robust means of what workers send, whatever form it has."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.numerics.aggregation import RULES, TooManyBad, aggregate
from untaint.training.engines.updates import combine_updates, robust_mean

torch = pytest.importorskip("torch")

WILD = [1e3, 1e30, np.inf, np.nan]
ROWS = np.random.default_rng(0).normal(1, 0.1, (7, 12)).astype(np.float32)


def poisoned(wild: float) -> np.ndarray:
    rows = ROWS.copy()
    rows[2] = wild
    return rows


def model_of(row: np.ndarray, batches: int = 5) -> dict[str, Any]:
    return {"weight": row[:8].reshape(4, 2), "batches": np.array(batches), "bias": row[8:].astype(np.float16)}


@pytest.mark.parametrize("wild", WILD)
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "mean"])
def test_every_form_gives_what_the_rows_give(rule: str, wild: float) -> None:
    rows = poisoned(wild)
    expected = aggregate(rows, 1, rule)
    assert np.abs(expected - 1).max() < 0.3
    np.testing.assert_array_equal(robust_mean(rows, rule), expected)
    np.testing.assert_array_equal(robust_mean(list(rows), rule), expected)
    np.testing.assert_array_equal(robust_mean(rows.reshape(7, 3, 4), rule), expected.reshape(3, 4))
    np.testing.assert_array_equal(robust_mean(torch.from_numpy(rows), rule).numpy(), expected)
    np.testing.assert_array_equal(robust_mean(list(torch.from_numpy(rows)), rule).numpy(), expected)
    parts = robust_mean([[row[:8].reshape(2, 4), row[8:]] for row in rows], rule)
    np.testing.assert_array_equal(np.concatenate([part.ravel() for part in parts]), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_tensor_keeps_its_type_and_device(dtype: str) -> None:
    rows = torch.from_numpy(ROWS).to(getattr(torch, dtype)).requires_grad_()
    found = robust_mean(rows, f=1)
    assert (found.dtype, found.device, found.requires_grad) == (rows.dtype, rows.device, False)
    assert float((found.float() - 1).abs().max()) < 0.2


@pytest.mark.parametrize("wild", WILD)
def test_models_are_judged_as_a_whole_and_counters_take_the_median(wild: float) -> None:
    models = [model_of(row, batches) for row, batches in zip(ROWS, [5, 5, 6, 6, 6, 7, 10**12], strict=True)]
    models[3]["weight"] = np.full((4, 2), wild, np.float32)
    before = [{name: part.copy() for name, part in model.items()} for model in models]
    found = robust_mean(models, "multi-krum")
    assert list(found) == ["weight", "batches", "bias"]
    assert (found["weight"].dtype, found["bias"].dtype, found["batches"].dtype) == (np.float32, np.float16, np.int64)
    assert found["batches"] in (5, 6)
    others = np.array([model["weight"] for place, model in enumerate(models) if place != 3])
    np.testing.assert_allclose(found["weight"], others.mean(0), atol=1e-6)
    for model, held in zip(models, before, strict=True):
        for name, part in held.items():
            np.testing.assert_array_equal(model[name], part)


def test_state_dicts_load_again() -> None:
    def net() -> Any:
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))

    states = [net().state_dict() for _ in range(5)]
    states[1] = OrderedDict((name, part.float() * np.nan) for name, part in states[1].items())
    states[1]["1.num_batches_tracked"] = torch.tensor(9)
    answer = combine_updates(states, "median")
    assert answer.kept == (0, 2, 3, 4)
    fresh = net()
    fresh.load_state_dict(answer.value)
    assert answer.value["1.num_batches_tracked"].dtype == torch.int64
    assert all(bool(torch.isfinite(part).all()) for part in fresh.state_dict().values())


def test_another_form_than_most_counts_as_bad() -> None:
    rows: list[np.ndarray] = [*ROWS]
    rows[4] = np.ones(13, np.float32)
    assert combine_updates(rows).kept == (0, 1, 2, 3, 5, 6)
    rows[0] = np.ones(12, np.int8)  # would have everything rounded, were it to decide what an update is
    assert robust_mean(rows, f=2).dtype == np.float32
    rows[5] = np.ones((3, 4), np.float32)
    with pytest.raises(TooManyBad, match="3 of 7"):
        robust_mean(rows, f=2)


def test_claimed_weights_are_capped() -> None:
    claims = [1e9, *[100] * 6]
    found = robust_mean(ROWS, "mean", weights=claims)
    np.testing.assert_allclose(found, (ROWS.sum(0) + ROWS[0]) / 8, rtol=1e-6)
    np.testing.assert_allclose(robust_mean(ROWS, "mean", weights=claims, cap=1), ROWS.mean(0), rtol=1e-6)


def test_whole_numbers_and_flags_alone_take_their_median() -> None:
    found = robust_mean(
        [
            {"a": np.array([1, 2]), "b": np.array(True)},
            {"a": np.array([3, 9]), "b": np.array(True)},
            {"a": np.array([2, 2]), "b": np.array(False)},
        ]
    )
    assert found["a"].tolist() == [2, 2]
    assert found["b"].dtype == np.bool_
    assert bool(found["b"])


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ([], "There are no updates"),
        (3.0, "come as float"),
        (np.array(3.0), "single number"),
        ({"a": np.ones(3)}, "come as dict"),
        ("abc", "come as str"),
        ([1.0, 2.0, 3.0], "an update is float, not an array"),
        ([{"w": "x"}], "'w' of an update is str"),
        (np.array([1j, 2j]), "an update is ndarray, not an array of numbers"),
        ([torch.tensor(1j)], "an update is Tensor, not an array of numbers"),
        (["x", "y"], "an update is str"),
        ([np.array(["x"])], "an update is ndarray, not an array of numbers"),
        ([np.array([{}], object)], "an update is ndarray, not an array of numbers"),
    ],
)
def test_what_is_no_update_is_refused(updates: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        robust_mean(updates)


def test_updates_of_nothing_are_nothing() -> None:
    assert robust_mean(np.empty((4, 0), np.float32)).shape == (0,)
    assert robust_mean([{}, {}, {}]) == {}


def test_an_unknown_rule_is_refused_first() -> None:
    with pytest.raises(BadInput, match="no rule 'best'"):
        robust_mean([], "best")
