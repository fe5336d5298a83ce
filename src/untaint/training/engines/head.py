"""Rows bounded where the network ends, for networks whose layers mix rows: there a row has no gradient of its own further in."""

from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from untaint.training.engines.tape import Bound


@final
class Head:
    """Scales each row's gradient at the output so that its gradient by the last linear layer is within the bound.

    All gradients further in are linear in it, and what normalisation leaves of a row is of usual size.  mean: as for `Tape`.
    """

    def __init__(self, model: nn.Module, bound: Bound, *, mean: bool) -> None:
        self._bound, self._mean = bound, mean
        self._last: Tensor | None = None
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        self._attached = [module.register_forward_hook(self._remember) for module in linear]

    def release(self) -> None:
        """The layers as they were."""
        for handle in self._attached:
            handle.remove()

    def watch(self, outputs: Tensor) -> None:
        """Scale the gradient that comes back to these outputs (n, ...)."""
        inputs, self._last = self._last, None
        if outputs.requires_grad:
            outputs.register_hook(lambda grad: self._scaled(grad, inputs))

    def _remember(self, _module: nn.Module, inputs: Any, _output: Any) -> None:
        self._last = inputs[0].detach()

    def _scaled(self, grad: Tensor, inputs: Tensor | None) -> Tensor:
        flat = grad.reshape(len(grad), -1)
        sizes = torch.linalg.vector_norm(flat.double(), dim=1) * (len(grad) if self._mean else 1)
        if inputs is not None and len(inputs) == len(grad):
            sizes = sizes * (torch.linalg.vector_norm(inputs.reshape(len(grad), -1).double(), dim=1).square() + 1).sqrt()
        norms = sizes.cpu().numpy()
        factors = np.where(np.isfinite(norms), self._bound(norms), 0.0)
        shaped = torch.from_numpy(factors).to(grad).reshape(-1, *[1] * (grad.dim() - 1))
        return torch.where(shaped == 0, torch.zeros_like(grad), grad * shaped)
