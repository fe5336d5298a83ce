"""Pruning of the channels that a network needs last when it has to learn clean answers again."""

import copy
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import nn
from torch.nn import functional
from typing_extensions import override

from untaint.models.repair._channels import stages, weakened
from untaint.models.repair._pruning import pruned
from untaint.models.repair._tuning import accuracy, parted
from untaint.models.repair.base import Given, Repair, Repaired

_FORGOTTEN = 0.2
"""Clean accuracy at which unlearning ends; the paper's."""


@final
@dataclass(frozen=True)
class Reconstruction(Repair):
    """Unlearn clean inputs, learn factors of the channels that bring clean answers back, and cut those it did without.

    How many are cut is chosen on clean inputs held back: as many as cost no more than 2 points.
    Stops: patch triggers in residual networks, as published.
    Does not stop: backdoors in channels that clean classes need.
    Needs: clean inputs, 1 % of the training set.
    Cost: `steps` updates of the network at most, and as many of the factors.
    Reference: RNP, Li et al. 2023, arXiv 2305.14876
    """

    id: ClassVar[str] = "reconstruction"
    steps: int = 200
    rate: float = 1e-2  # of unlearning; the paper's
    mask_rate: float = 0.2  # of the factors; the paper's

    @override
    def apply(self, given: Given) -> Repaired:
        rows, apart = parted(given)
        inputs, labels = given.inputs[rows], given.labels[rows]
        unlearned = copy.deepcopy(given.module)
        taken = self._unlearn(unlearned, given, rows)
        parts = stages(unlearned)
        masks = [torch.ones(len(part.weight), device=inputs.device, requires_grad=True) for part in parts]
        optimizer = torch.optim.SGD(masks, self.mask_rate, momentum=0.9)
        rng = torch.Generator().manual_seed(given.seed)
        for step in range(self.steps):
            batch = torch.randint(0, len(rows), (128,), generator=rng).to(rows.device)
            optimizer.zero_grad()
            with weakened(parts, masks):
                (functional.cross_entropy(unlearned(inputs[batch]), labels[batch])).backward()
            optimizer.step()
            with torch.no_grad():
                for mask in masks:
                    mask.clamp_(0, 1)
            given.progress("reconstructing", step + 1, self.steps)
        suspicion = [-mask.detach() for mask in masks]
        cut = pruned(given.module, stages(given.module), suspicion, given.inputs[apart], given.labels[apart])
        return Repaired(given.module, taken + self.steps, {"channels cut": cut, "channels": sum(map(len, masks))})

    def _unlearn(self, module: nn.Module, given: Given, rows: torch.Tensor) -> int:
        """Climb the loss on clean inputs until they are forgotten; updates taken."""
        optimizer = torch.optim.SGD(module.parameters(), self.rate, momentum=0.9, weight_decay=5e-4)
        rng = torch.Generator().manual_seed(given.seed)
        for step in range(self.steps):
            batch = rows[torch.randint(0, len(rows), (128,), generator=rng).to(rows.device)]
            optimizer.zero_grad()
            (-functional.cross_entropy(module(given.inputs[batch]), given.labels[batch])).backward()
            nn.utils.clip_grad_norm_(module.parameters(), 20.0)  # the paper's
            optimizer.step()
            if accuracy(module, given.inputs[rows], given.labels[rows]) <= _FORGOTTEN:
                return step + 1
        return self.steps
