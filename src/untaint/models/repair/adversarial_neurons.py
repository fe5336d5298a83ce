"""Pruning of the channels that clean answers hang on least, and that small changes turn."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from untaint.models.repair._channels import stages, weakened
from untaint.models.repair._pruning import pruned
from untaint.models.repair._tuning import parted
from untaint.models.repair.base import Given, Repair, Repaired


@final
@dataclass(frozen=True)
class AdversarialNeurons(Repair):
    """Learn a factor for every channel under changes of channels that mislead most, then cut those with the least factor.

    How many are cut is chosen on clean inputs held back: as many as cost no more than 2 points.
    Stops: patch triggers in networks with BatchNorm, as published.
    Does not stop: backdoors that share channels with clean classes, as in networks without BatchNorm.
    Needs: clean inputs, 1 % of the training set.
    Cost: two passes for each of `steps` updates.
    Reference: ANP, Wu, Wang 2021, arXiv 2110.14430
    """

    id: ClassVar[str] = "adversarial-neurons"
    steps: int = 200
    eps: float = 0.4  # the paper's reach of a change
    alpha: float = 0.2  # the paper's weight of inputs as they are
    rate: float = 0.2  # the paper's, SGD

    @override
    def apply(self, given: Given) -> Repaired:
        module, parts = given.module, stages(given.module)
        rows, apart = parted(given)
        masks = [torch.ones(len(part.weight), device=given.inputs.device, requires_grad=True) for part in parts]
        rng = torch.Generator().manual_seed(given.seed)
        optimizer = torch.optim.SGD(masks, self.rate, momentum=0.9)
        for step in range(self.steps):
            batch = rows[torch.randint(0, len(rows), (128,), generator=rng).to(rows.device)]
            inputs, labels = given.inputs[batch], given.labels[batch]
            changes = self._misleading(given, masks, inputs, labels)
            optimizer.zero_grad()
            with weakened(parts, masks):
                loss = self.alpha * functional.cross_entropy(module(inputs), labels)
            with weakened(parts, [mask + change for mask, change in zip(masks, changes[0], strict=True)], changes[1]):
                loss = loss + (1 - self.alpha) * functional.cross_entropy(module(inputs), labels)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for mask in masks:
                    mask.clamp_(0, 1)
            given.progress("adversarial neurons", step + 1, self.steps)
        module.zero_grad()
        cut = pruned(module, parts, [-mask.detach() for mask in masks], given.inputs[apart], given.labels[apart])
        return Repaired(module, self.steps, {"channels cut": cut, "channels": sum(map(len, masks))})

    def _misleading(self, given: Given, masks: list[Tensor], inputs: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """One signed step: a change of every channel's factor, and one of its mean."""
        parts = stages(given.module)
        scales = [torch.zeros_like(mask, requires_grad=True) for mask in masks]
        means = [torch.zeros_like(mask, requires_grad=True) for mask in masks]
        with weakened(parts, [mask.detach() + scale for mask, scale in zip(masks, scales, strict=True)], means):
            loss = functional.cross_entropy(given.module(inputs), labels)
        slopes = torch.autograd.grad(loss, [*scales, *means])
        signed = [self.eps * slope.sign() for slope in slopes]
        return signed[: len(scales)], signed[len(scales) :]
