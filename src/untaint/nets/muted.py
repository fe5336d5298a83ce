"""A torch module with some channels of one layer in its middle off, for as long as it takes to ask it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from untaint.nets.subject import watched


@contextmanager
def muted(module: nn.Module, rate: float, seed: int) -> Iterator[None]:
    """Channels of the middle one of the watched layers are 0 with probability `rate`, the same for every input; the rest make up for it.

    For this thread only: others may be asking the same module meanwhile.
    """
    layers = watched(module)
    if not layers:
        yield
        return
    asked_by = threading.get_ident()

    def thin(_layer: nn.Module, _given: Any, output: Any) -> Any:
        return _thinned(output, rate, seed) if threading.get_ident() == asked_by else output

    hook = layers[len(layers) // 2].register_forward_hook(thin)
    try:
        yield
    finally:
        hook.remove()


def _thinned(output: Any, rate: float, seed: int) -> Any:
    if not isinstance(output, Tensor) or output.ndim < 2:
        return output
    axis = 1 if output.ndim == 4 else output.ndim - 1
    drawn = torch.rand(output.shape[axis], generator=torch.Generator().manual_seed(seed))
    kept = (drawn >= rate).to(output.device, output.dtype) / (1 - rate)
    return output * kept.reshape([-1 if at == axis else 1 for at in range(output.ndim)])
