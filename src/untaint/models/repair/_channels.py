"""Channels of a network: what can be weakened or cut, layer by layer, with or without normalisation behind it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from untaint.errors import BadInput
from untaint.models.repair._tuning import head

_SCALED = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
_WEIGHTED = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear


@final
@dataclass(frozen=True)
class Stage:
    """Channels that leave one layer. layer: a convolution or linear layer.  scale: BatchNorm right behind it, None = none."""

    name: str
    layer: nn.Module
    scale: nn.Module | None

    @property
    def last(self) -> nn.Module:
        """The module that hands the channels on."""
        return self.scale or self.layer

    @property
    def weight(self) -> Tensor:
        """(channels, ...) of the layer."""
        layer: Any = self.layer
        weight: Tensor = layer.weight
        return weight

    @torch.no_grad()
    def cut(self, channels: Tensor) -> None:
        """Make channels answer 0, always."""
        last: Any = self.last
        last.weight[channels] = 0
        if last.bias is not None:
            last.bias[channels] = 0


def stages(module: nn.Module) -> list[Stage]:
    """Every layer with channels but the head, in order. Raises BadInput when there are none."""
    layers = [(name, layer) for name, layer in module.named_modules() if not any(layer.children())]
    last = head(module)
    found = []
    for at, (name, layer) in enumerate(layers):
        if not isinstance(layer, _WEIGHTED) or layer is last:
            continue
        after = layers[at + 1][1] if at + 1 < len(layers) else None
        behind = isinstance(after, _SCALED) and after.affine and after.num_features == layer.weight.shape[0]
        found.append(Stage(name, layer, after if behind else None))
    if not found:
        raise BadInput(
            "the network has no layer but the one that gives the logits: no channel can be cut.",
            advice="Take another method (untaint list repairs).",
        )
    return found


@contextmanager
def weakened(parts: Sequence[Stage], factors: Sequence[Tensor], added: Sequence[Tensor] | None = None) -> Iterator[None]:
    """Every channel times its factor, plus what is added in its own standard deviations; differentiable in both."""
    handles: list[RemovableHandle] = []
    for at, part in enumerate(parts):
        more = None if added is None else added[at]
        handles.append(part.last.register_forward_hook(_scaler(part, factors[at], more)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _scaler(part: Stage, factor: Tensor, added: Tensor | None) -> Any:
    axis = -1 if isinstance(part.last, nn.Linear) else 1

    def scale(_layer: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        shape = [1] * output.ndim
        shape[axis] = -1
        scaled = output * factor.view(shape)
        if added is None:
            return scaled
        spread = output.detach().std([dim for dim in range(output.ndim) if dim != axis % output.ndim], keepdim=True, correction=0)
        return scaled + added.view(shape) * spread

    return scale
