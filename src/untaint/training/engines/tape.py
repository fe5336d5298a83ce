"""Rows' gradients kept apart during one ordinary backward pass, so that each can be bounded before they are summed."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from math import isfinite
from types import MethodType
from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.training.engines.layers import Use, kind_of, row_gradients, squared_norms, supported, tapped, weighted

Bound: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""(n,) norms of rows' gradients -> (n,) factors."""


def kept_apart(model: nn.Module) -> list[str]:
    """Names of layers with trained parameters whose rows' gradients cannot be kept apart; empty = all can."""
    owners = {
        name: module for name, module in model.named_modules() if any(p.requires_grad for p in module.parameters(recurse=False))
    }
    return [f"{name or 'the model itself'} ({type(module).__name__})" for name, module in owners.items() if not supported(module)]


@final
class Tape:
    """Taps the layers of a model.

    While `rows` is set, the next backward pass leaves in `.grad` the sum of the rows' gradients, each times the factor that `bound` gives
    for its norm, in the scale of the user's loss; rows whose norm is not finite count 0.

    bound: asked once per backward pass.  mean: the loss is the mean of the rows' losses, else their sum.
    Raises BadInput in the forward pass when a layer is given other rows than the batch has.
    """

    def __init__(self, model: nn.Module, bound: Bound, *, mean: bool) -> None:
        self.rows: int | None = None
        self.norms: np.ndarray = np.empty(0)
        self._model, self._bound, self._mean = model, bound, mean
        self._uses: list[Use] = []
        self._waiting = False
        self._modules = [module for module in model.modules() if supported(module)]
        for module in self._modules:
            object.__setattr__(module, "forward", MethodType(partial(_forward, self, kind_of(module)), module))

    def release(self) -> None:
        """The layers as they were."""
        for module in self._modules:
            module.__dict__.pop("forward", None)

    def takes(self, module: nn.Module, inputs: Tensor) -> bool:
        """Whether this use is to be written down."""
        if self.rows is None or not self._model.training or not torch.is_grad_enabled():
            return False
        if inputs.shape[0] != self.rows:
            message = f"{type(module).__name__} was given {len(inputs):,} rows where the batch has {self.rows:,}: they can't be told apart."
            raise BadInput(message, advice="Keep the batch as first axis, or choose a recipe without limits per row.")
        return True

    def note(self, use: Use) -> None:
        """Called in the backward pass with every use of a layer."""
        self._uses.append(use)
        if not self._waiting:
            self._waiting = True
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)  # noqa: SLF001  # as FSDP does

    @torch.no_grad()
    def _finish(self) -> None:
        uses, self._uses, self._waiting = self._uses, [], False
        groups = _by_parameter(uses)
        self.norms = norms = _norms(groups)
        if self._mean:
            norms *= norms.shape[0]
        factors = self._bound(norms)
        if not isfinite(float(norms.sum())):
            finite = np.isfinite(norms)
            factors = np.where(finite, factors, 0.0)
            _silence(uses, torch.from_numpy(~finite))
        weights = torch.from_numpy(factors).to(uses[0].grads)
        for group in groups:
            for use in group:
                for name, total in weighted(use, weights).items():
                    parameter = getattr(use.module, name)
                    parameter.grad = total if parameter.grad is None else parameter.grad + total


def _forward(tape: Tape, kind: Any, module: nn.Module, inputs: Tensor, *others: Any, **named: Any) -> Any:
    if others or named or not tape.takes(module, inputs):
        return type(module).forward(module, inputs, *others, **named)
    return tapped(module, inputs, tape.note, kind)


def _by_parameter(uses: Sequence[Use]) -> list[list[Use]]:
    """Uses grouped by the weight they share: one layer used twice, or two layers with tied weights."""
    found: dict[int, list[Use]] = defaultdict(list)
    for use in uses:
        found[id(use.module.weight)].append(use)
    return list(found.values())


def _norms(groups: Sequence[Sequence[Use]]) -> np.ndarray:
    """(n,) norms over all parameters; where a weight is used several times, of the sum of those uses."""
    first, *others = [squared_norms(group[0]) if len(group) == 1 else _shared(group) for group in groups]
    total = first if first.dtype in _NUMPY else first.float()
    for squares in others:
        total = total + squares
    return np.sqrt(total.cpu().numpy(), dtype=np.float64)


_NUMPY = {torch.float32, torch.float64}  # of the precisions that networks have, those that NumPy has too


def _shared(group: Sequence[Use]) -> Tensor:
    summed: dict[int, Tensor] = {}
    for use in group:
        for name, rows in row_gradients(use).items():
            key = id(getattr(use.module, name))
            summed[key] = summed[key] + rows if key in summed else rows
    return torch.stack([value.flatten(1).square().sum(1) for value in summed.values()]).sum(0)


def _silence(uses: Sequence[Use], bad: Tensor) -> None:
    """Rows that are not finite become 0 before they are multiplied by 0: 0 times NaN is NaN."""
    for use in uses:
        here = bad.to(use.grads.device)
        use.grads = use.grads.masked_fill(here.reshape(-1, *[1] * (use.grads.dim() - 1)), 0)
        if use.inputs.is_floating_point():
            use.inputs = use.inputs.masked_fill(here.reshape(-1, *[1] * (use.inputs.dim() - 1)), 0)
        if use.rows is not None:
            use.rows = {name: rows.masked_fill(here.reshape(-1, *[1] * (rows.dim() - 1)), 0) for name, rows in use.rows.items()}
