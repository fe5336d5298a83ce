"""Gradients of single rows: closed form and one by one agree with autograd."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from untaint.errors import BadInput
from untaint.nets.row_gradients import LastLayer, alike, last_layer, row_gradients
from untaint.nets.subject import FunctionSubject, TorchSubject

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(12, 5)).astype(np.float32)
LABELS = RNG.integers(0, 3, 12)


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))


def naive(net: nn.Module, row: int, weights: list[torch.Tensor]) -> torch.Tensor:
    loss = functional.cross_entropy(net(torch.from_numpy(ROWS[row : row + 1])), torch.tensor(LABELS[row : row + 1]))
    return torch.cat([slope.flatten() for slope in torch.autograd.grad(loss, weights)])


def test_one_by_one_they_are_gradients_of_length_one() -> None:
    net = module()
    errors = last_layer(TorchSubject(net), ROWS).errors(LABELS)
    for row, found in enumerate(row_gradients(net, ROWS, errors)):
        wanted = naive(net, row, list(net.parameters()))
        assert float(found.norm()) == pytest.approx(1, abs=1e-5)
        assert float(found @ wanted) == pytest.approx(float(wanted.norm()), rel=1e-4)


def test_the_last_layer_in_closed_form() -> None:
    net = module()
    read = last_layer(TorchSubject(net), ROWS)
    found = alike(read, LABELS, read.take(np.array([0])), int(LABELS[0]))
    head = list(net[2].parameters())  # type: ignore[index]
    slopes = torch.stack([naive(net, row, head) for row in range(12)])
    wanted = functional.cosine_similarity(slopes, slopes[:1]).numpy()
    assert np.allclose(found, wanted, atol=1e-4)


def test_errors_keep_their_direction_where_the_model_is_certain() -> None:
    errors = LastLayer(None, np.array([[80.0, 0.0, -3.0]])).errors(np.array([0]))
    assert errors[0, 1] > errors[0, 2] > 0
    assert errors[0, 0] == -errors[0, 1:].sum()


def test_layer_by_layer_a_product_is_the_mean_of_cosines() -> None:
    net = module()
    errors = last_layer(TorchSubject(net), ROWS).errors(LABELS)
    first, second = row_gradients(net, ROWS[:2], errors[:2], layerwise=True)
    wanted = [
        functional.cosine_similarity(naive(net, 0, [weight]), naive(net, 1, [weight]), dim=0)
        for weight in net.parameters()
        if weight.ndim > 1
    ]
    assert float(first @ second) == pytest.approx(float(torch.stack(wanted).mean()), abs=1e-5)


def test_a_black_box_has_none() -> None:
    read = last_layer(FunctionSubject(lambda rows: rows[:, :3]), ROWS)
    assert read.features is None
    with pytest.raises(ValueError, match="black box"):
        alike(read, LABELS, read, 0)


def test_a_net_without_a_linear_layer_gives_what_it_watches() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    read = last_layer(TorchSubject(net), RNG.integers(0, 256, (3, 8, 8, 1), dtype=np.uint8))
    assert read.features is not None
    assert len(read.features) == 3


def test_frozen_and_short_weights_have_gradients_too() -> None:
    net = module().requires_grad_(False)
    errors = last_layer(TorchSubject(net), ROWS).errors(LABELS)
    (exact,) = row_gradients(net, ROWS[:1], errors[:1])
    assert not any(weight.requires_grad for weight in net.parameters())
    (short,) = row_gradients(net.to(torch.bfloat16), ROWS[:1], errors[:1])
    assert float(exact @ short) > 0.95


def test_what_cannot_learn_is_refused() -> None:
    with pytest.raises(BadInput, match="no weights that could learn"):
        next(row_gradients(nn.Flatten(), ROWS, np.ones((12, 5))))
