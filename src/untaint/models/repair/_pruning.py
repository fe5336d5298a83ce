"""Cutting channels from the most suspicious on, as far as clean inputs allow."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from untaint.models.repair._channels import Stage, weakened
from untaint.models.repair._tuning import accuracy

BUDGET: Final = 0.02
"""Accuracy on the clean inputs that pruning may cost."""
_TRIES: Final = 24  # depths of cutting that are tried, evenly up to half of all channels


def pruned(module: nn.Module, parts: Sequence[Stage], suspicion: Sequence[Tensor], inputs: Tensor, labels: Tensor) -> int:
    """Cut channels in place, the most suspicious first, as many as leave the accuracy within its budget; how many.

    suspicion: per stage (channels,), high = suspicious. Of all tried depths the deepest that is within the budget is taken.
    """
    flat = torch.cat([values.flatten() for values in suspicion])
    order = torch.argsort(flat, descending=True)
    budget = accuracy(module, inputs, labels) - BUDGET
    best = 0
    for turn in range(1, _TRIES + 1):
        count = round(len(flat) / 2 * turn / _TRIES)
        kept = torch.ones_like(flat)
        kept[order[:count]] = 0
        with weakened(parts, kept.split([len(values) for values in suspicion])):
            if accuracy(module, inputs, labels) >= budget:
                best = count
    doomed = torch.zeros_like(flat, dtype=torch.bool)
    doomed[order[:best]] = True
    for part, channels in zip(parts, doomed.split([len(values) for values in suspicion]), strict=True):
        part.cut(channels)
    return best
