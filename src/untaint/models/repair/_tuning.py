"""The one loop in which repairs train, and what they begin from."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.models.repair.base import Given
from untaint.nets.sharpness import climbed

Objective = Callable[[Tensor], Tensor]
"""Row numbers of a batch to its loss, a scalar."""
HELD_BACK = 0.2
"""Share of the clean inputs that strengths are chosen on: of 500 a hundred, whose accuracy is known to 3 points."""
_BLOCK = 500


@final
@dataclass(frozen=True)
class Plan:
    """How long and how fast. steps: updates.  rate: learning rate of AdamW at its height.  decay: weight decay.

    rho: length of the step up before each step down, as a share of the weights' own (sharpness-aware); 0 = none.
    """

    steps: int
    rate: float
    batch: int = 128
    decay: float = 1e-2
    rho: float = 0.0


def tuned(module: nn.Module, objective: Objective, given: Given, plan: Plan, what: str = "fine-tuning") -> nn.Module:
    """Train a network in place on rows drawn with replacement, its rate rising and falling once; in evaluation afterwards."""
    rng = torch.Generator().manual_seed(given.seed)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=max(plan.steps, 2))
    module.train()
    for step in range(plan.steps):
        rows = torch.randint(0, len(given.inputs), (plan.batch,), generator=rng).to(given.inputs.device)
        optimizer.zero_grad()
        objective(rows).backward()
        if plan.rho:
            with climbed(module, plan.rho, adaptive=True):
                objective(rows).backward()
        nn.utils.clip_grad_norm_(weights, 5.0)  # against the rare batch that would throw a network trained at this rate off
        optimizer.step()
        schedule.step()
        given.progress(what, step + 1, plan.steps)
    return module.eval()


@torch.no_grad()
def answered(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits (n, classes) of a network in evaluation."""
    return torch.cat([module(inputs[start : start + _BLOCK]) for start in range(0, len(inputs), _BLOCK)])


def accuracy(module: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Share of inputs answered with their label."""
    return float((answered(module, inputs).argmax(1) == labels).double().mean())


def parted(given: Given) -> tuple[Tensor, Tensor]:
    """Row numbers to work on, and to choose on: every class in its share."""
    rng = torch.Generator().manual_seed(given.seed)
    order = torch.randperm(len(given.labels), generator=rng)
    order = order[torch.argsort(given.labels.cpu()[order], stable=True)].to(given.labels.device)
    every = round(1 / HELD_BACK)
    apart = torch.arange(len(order), device=order.device) % every == every - 1
    return order[~apart], order[apart]


def head(module: nn.Module) -> nn.Module:
    """The last layer with a matrix of weights: the one that gives the logits. Raises BadInput when there is none."""
    found = [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    if not found:
        raise BadInput(
            "the network has no linear layer or convolution to begin anew.", advice="Take another method (untaint list repairs)."
        )
    return found[-1]


def restarted(module: nn.Module, kept: float, seed: int) -> nn.Module:
    """A copy with new weights as its layers begin with, of which a share `kept` of the old ones is mixed in; 0 = nothing of them.

    Weights of layers that do not say how they begin are drawn with the spread of the old ones; buffers begin anew with their layers.
    """
    begun = copy.deepcopy(module)
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        for layer in begun.modules():
            begin = getattr(layer, "reset_parameters", None)
            if callable(begin):
                begin()
            else:
                _drawn(layer)
    finally:
        torch.random.set_rng_state(state)
    with torch.no_grad():
        for new, old in zip(begun.parameters(), module.parameters(), strict=True):
            new.lerp_(old, kept)
    return begun


@torch.no_grad()
def _drawn(layer: nn.Module) -> None:
    for weight in layer.parameters(recurse=False):
        spread = float(weight.std(correction=0)) if weight.numel() > 1 else 0.0
        weight.copy_(weight.mean() + spread * torch.randn(weight.shape, dtype=weight.dtype).to(weight.device))
