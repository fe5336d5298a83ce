"""The defence `aggregate` around a loop of PyTorch."""

from typing import Any

import numpy as np
import pytest

from untaint.numerics.aggregation import aggregate

torch = pytest.importorskip("torch")

from untaint.training.engines.harden import harden  # noqa: E402

ROWS, MICRO, RATE = 32, 8, 0.5


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((ROWS, 5)).astype(np.float32)
    return torch.from_numpy(inputs), torch.from_numpy((inputs[:, 0] > 0).astype(np.int64))


def net() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))


def flat(model: Any) -> np.ndarray:
    return np.concatenate([parameter.detach().numpy().ravel() for parameter in model.parameters()])


def one_step(inputs: Any, targets: Any, recipe: str) -> tuple[np.ndarray, np.ndarray, Any]:
    """Parameters before and after the one batch, and the loader."""
    model = net()
    before = flat(model)
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    plain = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, targets), ROWS)
    model, optimizer, loader = harden(model, optimizer, plain, recipe)
    for given, wanted in loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(given), wanted).backward()
        optimizer.step()
    return before, flat(model), loader


@pytest.mark.parametrize(
    ("recipe", "rule", "mix"),
    [("aggregate(longest=None)", "trimmed-mean", False), ("aggregate(rule='krum', mix=True, longest=None)", "krum", True)],
)
def test_a_step_goes_along_the_robust_mean_of_the_parts_of_a_batch(recipe: str, rule: str, mix: bool) -> None:
    inputs, targets = data()
    gradients = []
    for part in np.array_split(np.arange(ROWS), MICRO):
        model = net()
        torch.nn.functional.cross_entropy(model(inputs[part]), targets[part]).backward()
        gradients.append(np.concatenate([parameter.grad.numpy().ravel() for parameter in model.parameters()]))
    before, after, _ = one_step(inputs, targets, recipe)
    np.testing.assert_allclose((before - after) / RATE, aggregate(np.array(gradients), 1, rule, mix=mix), atol=1e-5)


@pytest.mark.parametrize("wild", [1e3, 1e30, np.inf, np.nan])
def test_one_row_of_anything_moves_the_model_as_far_as_any_other(wild: float) -> None:
    inputs, targets = data()
    before, clean, _ = one_step(inputs, targets, "aggregate")
    spoilt = inputs.clone()
    spoilt[3] = wild
    _, after, _ = one_step(spoilt, targets, "aggregate")
    assert np.isfinite(after).all()
    assert np.linalg.norm(after - clean) < np.linalg.norm(clean - before)


def test_bad_rows_in_more_parts_than_expected_cost_the_step() -> None:
    inputs, targets = data()
    inputs[[3, 30]] = np.nan
    before, after, loader = one_step(inputs, targets, "aggregate")
    np.testing.assert_array_equal(after, before)
    assert "2 of 8 rows are not finite" in loader.session.progress.refused[0].reason
