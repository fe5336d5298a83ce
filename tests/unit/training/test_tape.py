"""Gradients of rows kept apart, against a loop over single rows."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.training.engines import layers
from untaint.training.engines.tape import Tape, kept_apart

N = 7
LIMIT = 0.4


class Tied(nn.Module):
    """One layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(torch.tanh(self.inner(torch.tanh(self.inner(inputs)))))


class TiedWeights(nn.Module):
    """Words in and out by one matrix, as language models have it."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(9, 5), nn.Linear(5, 9)
        self.out.weight = self.words.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(torch.tanh(self.words(inputs)).mean(1))


class Words(nn.Module):
    def __init__(self, padding: int | None) -> None:
        super().__init__()
        self.words, self.norm, self.inner = nn.Embedding(9, 5, padding_idx=padding), nn.LayerNorm(5), nn.Linear(5, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(torch.tanh(self.inner(self.norm(self.words(inputs)))).mean(1))


def _flat(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(*parts, nn.Flatten(), nn.LazyLinear(3))


NETS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), lambda: torch.randn(N, 6)),
    "no bias": (lambda: nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Linear(5, 3)), lambda: torch.randn(N, 6)),
    "in-place": (lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 3)), lambda: torch.randn(N, 6)),
    "positions": (lambda: _flat(nn.Linear(6, 5), nn.Tanh()), lambda: torch.randn(N, 4, 6)),
    "many positions": (lambda: _flat(nn.Linear(3, 2), nn.Tanh()), lambda: torch.randn(N, 8, 3)),
    "few positions": (lambda: _flat(nn.Conv2d(2, 4, 3), nn.Tanh()), lambda: torch.randn(N, 2, 4, 5)),
    "few positions in groups": (lambda: _flat(nn.Conv2d(4, 8, 3, groups=2), nn.Tanh()), lambda: torch.randn(N, 4, 4, 4)),
    "conv": (lambda: _flat(nn.Conv2d(2, 4, 3, padding=1, stride=2), nn.ReLU()), lambda: torch.randn(N, 2, 8, 7)),
    "dilated groups": (
        lambda: _flat(nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2), nn.Tanh()),
        lambda: torch.randn(N, 4, 6, 6),
    ),
    "conv 1-D": (lambda: _flat(nn.Conv1d(3, 4, 3, padding=1), nn.Tanh()), lambda: torch.randn(N, 3, 9)),
    "conv 3-D": (lambda: _flat(nn.Conv3d(1, 2, (2, 3, 2)), nn.Tanh()), lambda: torch.randn(N, 1, 4, 5, 4)),
    "group norm": (lambda: _flat(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.ReLU()), lambda: torch.randn(N, 2, 6, 6)),
    "layer norm": (lambda: _flat(nn.Linear(6, 5), nn.LayerNorm((4, 5)), nn.Tanh()), lambda: torch.randn(N, 4, 6)),
    "root mean square": (lambda: _flat(nn.Linear(6, 5), nn.RMSNorm(5), nn.Tanh()), lambda: torch.randn(N, 4, 6)),
    "words": (lambda: Words(None), lambda: torch.randint(0, 9, (N, 6))),
    "words with padding": (lambda: Words(0), lambda: torch.randint(0, 3, (N, 6))),
    "layer used twice": (Tied, lambda: torch.randn(N, 6)),
    "tied weights": (TiedWeights, lambda: torch.randint(0, 9, (N, 6))),
    "frozen layer": (lambda: _frozen(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))), lambda: torch.randn(N, 6)),
}


def _frozen(net: nn.Sequential) -> nn.Module:
    net[0].weight.requires_grad_(False)
    return net


def _made(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(3)
    net, inputs = NETS[name][0](), NETS[name][1]()
    net(inputs)
    return net, inputs, torch.randint(0, 3, (N,))


def _bound(norms: np.ndarray) -> np.ndarray:
    return np.minimum(1.0, LIMIT / norms)


def _one_by_one(net: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], np.ndarray]:
    """Sum of the rows' gradients, each shortened to LIMIT, and their norms, by a backward pass for each row."""
    trained = {name: value for name, value in net.named_parameters() if value.requires_grad}
    total = {name: torch.zeros_like(value) for name, value in trained.items()}
    norms = []
    for row in range(N):
        loss = nn.functional.cross_entropy(net(inputs[row : row + 1]), targets[row : row + 1])
        grads = torch.autograd.grad(loss, list(trained.values()))
        norms.append(float(torch.cat([grad.flatten() for grad in grads]).double().norm()))
        for name, grad in zip(trained, grads, strict=True):
            total[name] += grad * min(1.0, LIMIT / norms[-1])
    return total, np.array(norms)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("mean", [True, False])
def test_sums_of_bounded_rows_are_those_of_a_loop_over_rows(name: str, mean: bool) -> None:
    net, inputs, targets = _made(name)
    expected, norms = _one_by_one(net, inputs, targets)
    tape = Tape(net, _bound, mean=mean)
    tape.rows = N
    nn.functional.cross_entropy(net(inputs), targets, reduction="mean" if mean else "sum").backward()
    np.testing.assert_allclose(tape.norms, norms, rtol=1e-5)
    for parameter_name, parameter in net.named_parameters():
        if parameter.requires_grad:
            found = parameter.grad
            assert found is not None
            torch.testing.assert_close(found * (N if mean else 1), expected[parameter_name], atol=1e-6, rtol=1e-5)
        else:
            assert parameter.grad is None


@pytest.mark.parametrize("name", ["few positions", "few positions in groups"])
def test_norms_from_products_are_those_from_gradients_laid_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, inputs, targets = _made(name)
    expected, norms = _one_by_one(net, inputs, targets)
    monkeypatch.setattr(layers, "_ROOM", 0)
    monkeypatch.setattr(layers, "_of_rows", lambda _use: pytest.fail("laid out"))
    tape = Tape(net, _bound, mean=True)
    tape.rows = N
    nn.functional.cross_entropy(net(inputs), targets).backward()
    np.testing.assert_allclose(tape.norms, norms, rtol=1e-5)
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad * N, expected[parameter_name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, -1e38])
@pytest.mark.parametrize("name", ["linear", "conv", "group norm", "positions", "layer used twice"])
def test_a_row_that_is_no_number_counts_nothing(name: str, value: float) -> None:
    net, inputs, targets = _made(name)
    clean = copy.deepcopy(net)
    bad = inputs.clone()
    bad[2] = value
    for model, rows in ((net, bad), (clean, inputs)):
        tape = Tape(model, lambda norms: np.where(np.arange(N) == 2, 0.0, _bound(norms)), mean=True)
        tape.rows = N
        nn.functional.cross_entropy(model(rows), targets).backward()
    for found, expected in zip(net.parameters(), clean.parameters(), strict=True):
        assert found.grad is not None
        assert expected.grad is not None
        torch.testing.assert_close(found.grad, expected.grad)


def test_evaluation_and_calls_without_gradients_are_not_written_down() -> None:
    net, inputs, _ = _made("linear")
    tape = Tape(net, _bound, mean=True)
    tape.rows = N
    with torch.no_grad():
        net(inputs[:2])
    net.eval()
    net(inputs[:3])


def test_a_layer_that_is_given_other_rows_is_refused() -> None:
    net, inputs, _ = _made("linear")
    tape = Tape(net, _bound, mean=True)
    tape.rows = N
    with pytest.raises(BadInput, match="Linear was given 3 rows where the batch has 7"):
        net(inputs[:3])


def test_inputs_changed_in_place_before_they_were_read_are_refused() -> None:
    net = nn.Linear(3, 2)
    tape = Tape(net, _bound, mean=True)
    tape.rows = 4
    inputs = torch.randn(4, 3)
    loss = net(inputs).sum()
    inputs.add_(1)
    with pytest.raises(BadInput, match="the input of Linear was changed in place"):
        loss.backward()


def test_a_layer_of_which_nothing_is_trained_is_left_to_autograd() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    tape = Tape(net, np.ones_like, mean=True)
    tape.rows = 4
    net(torch.randn(4, 3)).sum().backward()
    assert net[0].weight.grad is None
    assert net[2].weight.grad is not None
    assert len(tape.norms) == 4


def test_a_released_model_is_as_it_was_and_a_copy_can_be_made_of_a_tapped_one() -> None:
    net, inputs, targets = _made("conv")
    plain = copy.deepcopy(net)
    tape = Tape(net, _bound, mean=True)
    copied = copy.deepcopy(net)
    torch.testing.assert_close(copied(inputs), plain(inputs))
    tape.release()
    nn.functional.cross_entropy(net(inputs), targets).backward()
    nn.functional.cross_entropy(plain(inputs), targets).backward()
    for found, expected in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)
    assert not any("forward" in vars(module) for module in net.modules())


def test_layers_whose_rows_cannot_be_kept_apart_are_named() -> None:
    net = nn.ModuleDict(
        {"memory": nn.LSTM(3, 4), "head": nn.Linear(4, 2), "reflected": nn.Conv2d(1, 1, 3, padding_mode="reflect")}
    )
    assert kept_apart(net) == ["memory (LSTM)", "reflected (Conv2d)"]
