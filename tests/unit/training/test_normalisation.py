"""Batch normalisation replaced: rows no longer see each other, no data are lost, and training works."""

from typing import Any

import pytest
import torch
from torch import nn

from untaint.errors import BadInput
from untaint.training.engines.normalisation import Replaced, without_batch_norm


def network() -> nn.Sequential:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
    return nn.Sequential(block, nn.Flatten(), nn.Linear(216, 32), nn.BatchNorm1d(32), nn.ReLU(inplace=True), nn.Linear(32, 3))


def test_each_rows_output_is_its_own() -> None:
    model, replaced = without_batch_norm(network())
    assert replaced == [Replaced("0.1", "BatchNorm2d", 3, 6), Replaced("3", "BatchNorm1d", 2, 32)]
    rows = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(model(rows)[:2], model(rows[:2]))


def test_the_model_given_stays_as_it_was() -> None:
    before: Any = network()
    changed, _ = without_batch_norm(before)
    assert isinstance(before[3], nn.BatchNorm1d)
    assert before[4].inplace
    assert not changed[4].inplace
    assert not changed[0][2].inplace


def test_scales_are_taken_over_and_training_works() -> None:
    before: Any = network()
    with torch.no_grad():
        before[3].weight.fill_(2.5)
    before[3].bias.requires_grad_(False)
    model, _ = without_batch_norm(before)
    assert (model[3].weight == 2.5).all()
    assert not model[3].bias.requires_grad
    answers: torch.Tensor = model(torch.randn(4, 1, 8, 8))
    answers.sum().backward()
    assert model[0][0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("channels", [4, 7, 12, 16, 33, 48, 64, 100, 512, 1024])
def test_flat_inputs_keep_their_data(channels: int) -> None:
    model, (what,) = without_batch_norm(nn.BatchNorm1d(channels, affine=False))
    assert channels % what.groups == 0
    assert channels // what.groups >= min(16, channels)
    rows = torch.randn(200, channels)
    answers = model(rows)
    assert answers.std() > 0.5
    assert len(torch.unique((answers[:, 0] * 1000).round())) > 50  # many values, neither 0 throughout nor two of them


@pytest.mark.parametrize(
    ("kind", "channels", "groups"),
    [(nn.BatchNorm2d, 64, 32), (nn.BatchNorm2d, 16, 8), (nn.BatchNorm3d, 7, 1), (nn.BatchNorm2d, 9, 3)],
)
def test_groups_divide_the_channels(kind: type[nn.Module], channels: int, groups: int) -> None:
    assert without_batch_norm(kind(channels))[1][0].groups == groups


def test_a_layer_used_twice_stays_one_layer() -> None:
    shared = nn.BatchNorm2d(8)
    model, replaced = without_batch_norm(nn.Sequential(shared, nn.ReLU(), shared))
    assert len(replaced) == 1
    assert model[0] is model[2]
    assert isinstance(model[0], nn.GroupNorm)


def test_a_network_without_it_is_copied() -> None:
    model, replaced = without_batch_norm(nn.Sequential(nn.Linear(3, 2)))
    assert replaced == []
    assert model(torch.zeros(1, 3)).shape == (1, 2)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.BatchNorm2d(1)])
def test_too_few_channels_are_refused(layer: nn.Module) -> None:
    with pytest.raises(BadInput, match="The layer 0 normalises . channel"):
        without_batch_norm(nn.Sequential(layer))


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_lazy_layer_is_refused() -> None:
    with pytest.raises(BadInput, match="does not know its sizes yet"):
        without_batch_norm(nn.Sequential(nn.LazyBatchNorm2d()))
