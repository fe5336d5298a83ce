"""Defence dp around a PyTorch loop: what one row can add, what an update without rows is, and that digits are learned."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from untaint import harden, without_batch_norm
from untaint.errors import BadInput
from untaint.training.dp import Dp

CLIP = 0.5


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    bunch: Any = load_digits()
    return torch.tensor(bunch.data / 16, dtype=torch.float32), torch.tensor(bunch.target)


def network(kind: str) -> nn.Module:
    torch.manual_seed(1)
    if kind == "linear":
        return nn.Linear(64, 10)
    if kind == "convolutional":
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(), nn.Linear(144, 10)
        )
    return nn.Sequential(nn.Linear(64, 16), nn.PReLU(), nn.Linear(16, 10))  # of PReLU rows can't be kept apart


def loader(x: torch.Tensor, y: torch.Tensor, batch: int) -> Any:
    return DataLoader(TensorDataset(x, y), batch)


def update(kind: str, x: torch.Tensor, y: torch.Tensor, expected: int) -> np.ndarray:
    """The sum of the bounded gradients of all rows, as one step without noise applies it."""
    model = network(kind)
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    model, optimizer, batches = harden(model, optimizer, loader(x, y, len(x)), Dp(noise=0.0, clip=CLIP))
    for inputs, targets in batches:
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    assert spent(batches)["steps"] == 1
    return (before - nn.utils.parameters_to_vector(model.parameters()).detach()).numpy() * expected


def spent(batches: Any) -> dict[str, Any]:
    return dict(batches.session.active[0][1].facts())


@pytest.mark.parametrize("kind", ["linear", "convolutional", "rows by themselves"])
@pytest.mark.parametrize("bad", [1.0, 1e3, 1e30, np.inf, np.nan])
def test_one_row_moves_an_update_by_no_more_than_the_bound(kind: str, bad: float) -> None:
    x, y = digits()
    x, y = x[:12].clone(), y[:12]
    x[-1, 5:40] = bad
    with_it, without = update(kind, x, y, 12), update(kind, x[:-1], y[:-1], 11)
    assert np.isfinite(with_it).all()
    assert np.linalg.norm(without) > CLIP  # there is something to move
    assert np.linalg.norm(with_it - without) <= CLIP * (1 + 1e-4)


def test_a_step_without_rows_is_noise_of_the_stated_size() -> None:
    model = nn.Linear(2000, 10)
    before = model.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    rows = loader(torch.zeros(400, 2000), torch.zeros(400, dtype=torch.int64), 1)
    hardened = harden(model, optimizer, rows, Dp(noise=2.0, clip=CLIP))[2]
    hardened.session.empty()
    assert (before - model.weight.detach()).std().item() == pytest.approx(2.0 * CLIP, rel=0.03)


def test_batches_vary_and_some_are_empty_and_every_step_counts() -> None:
    x, y = digits()
    model = network("linear")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model, optimizer, batches = harden(model, optimizer, loader(x[:60], y[:60], 1), Dp(noise=1.0, clip=CLIP), seed=1)
    sizes = []
    for inputs, targets in batches:
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        sizes.append(len(inputs))
    facts = spent(batches)
    assert facts["steps"] == 60
    assert 10 < 60 - len(sizes) < 35  # empty: exp(-1) of them
    assert max(sizes) > 1


def test_digits_are_learned_within_an_epsilon() -> None:
    x, y = digits()
    model = network("linear")
    optimizer = torch.optim.SGD(model.parameters(), 8.0, momentum=0.9)
    model, optimizer, batches = harden(
        model, optimizer, loader(x[:1500], y[:1500], 300), Dp(epsilon=3.0, delta=1e-5, clip=0.1), epochs=12
    )
    for _ in range(12):
        for inputs, targets in batches:
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    facts = spent(batches)
    assert 2.9 < facts["epsilon"] <= 3.0
    assert (model(x[1500:]).argmax(1) == y[1500:]).float().mean() > 0.8


def test_batch_normalisation_is_refused_until_it_is_replaced() -> None:
    x, y = digits()
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(inplace=True), nn.Linear(32, 10))
    with pytest.raises(BadInput, match="dp is unsound with batch normalisation"):
        harden(model, torch.optim.SGD(model.parameters(), 0.1), loader(x, y, 100), Dp(noise=1.0))
    changed, _ = without_batch_norm(model)
    optimizer = torch.optim.SGD(changed.parameters(), 0.1)
    changed, optimizer, batches = harden(changed, optimizer, loader(x[:200], y[:200], 100), Dp(noise=1.0))
    for inputs, targets in batches:
        optimizer.zero_grad()
        functional.cross_entropy(changed(inputs), targets).backward()
        optimizer.step()
    assert spent(batches)["steps"] == 2
