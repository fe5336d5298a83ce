"""Pruning of channels that amplify too much; no data needed."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from typing_extensions import override

from untaint.models.repair._channels import Stage, stages
from untaint.models.repair.base import Given, Repair, Repaired


@final
@dataclass(frozen=True)
class ChannelLipschitz(Repair):
    """Cut channels whose greatest amplification stands out in their layer: what a small trigger needs to win.

    Of a convolution with BatchNorm the filter is taken with the scale behind it, of others as it is, of a linear layer its row.
    Stops: patch triggers in residual networks with BatchNorm, as published.
    Does not stop: blends, warps, and triggers learned by channels that clean inputs use.
    Needs: nothing but the network.
    Cost: one singular value per channel; a second.
    Reference: Zheng et al. 2022, arXiv 2208.03111
    """

    id: ClassVar[str] = "channel-lipschitz"
    clean: ClassVar[bool] = False
    u: float = 3.0  # standard deviations above a layer's mean; the paper's

    @override
    def apply(self, given: Given) -> Repaired:
        found = stages(given.module)
        cut = 0
        for part in found:
            bounds = amplification(part)
            doomed = bounds > bounds.mean() + self.u * bounds.std(correction=0)
            part.cut(doomed)
            cut += int(doomed.sum())
        return Repaired(given.module, 0, {"channels cut": cut, "channels": sum(len(part.weight) for part in found)})


@torch.no_grad()
def amplification(part: Stage) -> Tensor:
    """(channels,) bound on how far each one's answer moves with its input."""
    weight = part.weight.detach()
    matrices = weight.flatten(2) if weight.ndim > 2 else weight[:, None, :]
    bounds = torch.linalg.matrix_norm(matrices, 2)
    scale: Any = part.scale
    if scale is not None and scale.running_var is not None:
        bounds = bounds * (scale.weight / torch.sqrt(scale.running_var + scale.eps)).abs()
    return bounds
