"""The state of a network and its optimizer, to come back to."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@final
@dataclass(frozen=True)
class Snapshot:
    """Copies of everything that training changes."""

    model: dict[str, Tensor]
    optimizer: dict[str, Any]

    @staticmethod
    def of(model: nn.Module, optimizer: Optimizer) -> "Snapshot":
        """As they are now."""
        return Snapshot(
            {name: value.detach().clone() for name, value in model.state_dict().items()}, _copied(optimizer.state_dict())
        )

    def restore(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Put it back; the learning rate stays as it is, for it belongs to a schedule."""
        model.load_state_dict(self.model)
        rates = [group["lr"] for group in optimizer.param_groups]
        optimizer.load_state_dict(_copied(self.optimizer))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


@final
class Buffers:
    """Running statistics of a network before a batch: one forward pass can ruin them, and no optimizer would bring them back."""

    def __init__(self, model: nn.Module) -> None:
        self._held = [value for value in model.buffers() if value.is_floating_point()]
        self._before: list[Tensor] = []

    def keep(self) -> None:
        """Take a copy."""
        self._before = [value.detach().clone() for value in self._held]

    @torch.no_grad()
    def restore(self) -> None:
        """Put the copy back."""
        for value, before in zip(self._held, self._before, strict=False):
            value.copy_(before)

    def finite(self) -> bool:
        """Whether all of them are numbers."""
        return all(bool(torch.isfinite(value).all()) for value in self._held)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value
