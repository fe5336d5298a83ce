"""Sharpness-aware minimisation: the gradient is taken where the loss is worst nearby, so training ends in a wide valley."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_TINY = 1e-12


@contextmanager
def climbed(net: nn.Module, radius: float, *, adaptive: bool = False) -> Iterator[None]:
    """Weights moved by `radius` along their gradients, and back again (Foret et al. 2021, arXiv 2010.01412, eq. 2 with p = 2).

    adaptive: `radius` is a share of the weights' own sizes (Kwon et al. 2021, arXiv 2102.11600, element-wise).
    Gradients are cleared on the way in: those taken inside are what a step is made of.
    """
    pulled = [(weight, weight.grad.clone()) for weight in net.parameters() if weight.grad is not None]
    before = [weight.detach().clone() for weight, _ in pulled]
    scales: list[Tensor | float] = [old.abs() if adaptive else 1.0 for old in before]
    slopes = [slope * scale for (_, slope), scale in zip(pulled, scales, strict=True)]
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(slope) for slope in slopes]))
    with torch.no_grad():
        for (weight, _), slope, scale in zip(pulled, slopes, scales, strict=True):
            weight.add_(slope * scale, alpha=float(radius / (length + _TINY)))
    net.zero_grad()
    try:
        yield
    finally:
        with torch.no_grad():
            for (weight, _), old in zip(pulled, before, strict=True):
                weight.copy_(old)
