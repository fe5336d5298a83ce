"""One loss per row, from what a network answered and what it should have."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

RowLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(outputs (n, ...), targets (n, ...)) -> (n,) losses."""

_NEARLY = 1e-3  # rounding of probabilities that sum to 1


def answer_of(output: Any) -> Tensor | None:
    """The tensor of logits or values among what a model returns: itself, the first of several, or what is called logits."""
    if isinstance(output, Tensor):
        return output
    found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(found, Tensor):
        return found
    first = output[0] if isinstance(output, tuple | list) and output else None
    return first if isinstance(first, Tensor) else None


def row_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy for class codes and probabilities, of one logit for two classes, squared error for numbers; mean over positions."""
    if not targets.is_floating_point() and targets.dtype != torch.bool:
        return _of_codes(outputs, targets.long())
    if targets.shape == outputs.shape and outputs.dim() == 2 and outputs.shape[1] > 1 and _probabilities(targets):
        return functional.cross_entropy(outputs, targets.to(outputs.dtype), reduction="none")
    flat = outputs.reshape(len(outputs), -1), targets.reshape(len(targets), -1).to(outputs.dtype)
    if targets.dtype == torch.bool:
        return functional.binary_cross_entropy_with_logits(*flat, reduction="none").mean(1)
    return functional.mse_loss(*flat, reduction="none").mean(1)


def _of_codes(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.dim() == targets.dim():  # one logit for two classes
        losses = functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), reduction="none")
        return losses.reshape(len(losses), -1).mean(1)
    if outputs.dim() == 3 and outputs.shape[:2] == targets.shape:  # (n, positions, classes), as of language models
        outputs = outputs.transpose(1, 2)
    losses = functional.cross_entropy(outputs, targets, reduction="none").reshape(len(outputs), -1)
    counted = (targets != -100).reshape(len(outputs), -1)  # what cross_entropy leaves out
    return losses.sum(1) / counted.sum(1).clamp(min=1)


def _probabilities(targets: Tensor) -> bool:
    return bool((targets >= 0).all()) and bool(((targets.sum(1) - 1).abs() < _NEARLY).all())
