"""How fast a backdoor comes back: a network that only hides it learns it again from a handful of samples."""

import copy
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.models.repair._tuning import answered

FEW: Final = 10
"""Poisoned samples: a hundredth of what planted it."""
_CLEAN: Final = 90  # clean inputs beside them: an attacker's share of a tenth
STEPS: Final = (0, 5, 10, 20, 40)
"""Updates after which success is measured."""
_RATE, _BATCH = 1e-3, 50  # a usual rate for fine-tuning with Adam


def relapse(module: nn.Module, clean: tuple[Tensor, Tensor], poisoned: tuple[Tensor, Tensor], seed: int = 0) -> list[float]:
    """Success of the attack after each of `STEPS` updates on a few poisoned samples among clean ones; the network is left alone.

    clean: inputs and labels.  poisoned: inputs with the trigger and the labels the attack wants; the first `FEW` are trained on, the others
    measured on.
    Reference: superficial safety, Min et al. 2024, arXiv 2410.09838.
    """
    taught = copy.deepcopy(module).train()
    inputs = torch.cat([poisoned[0][:FEW], clean[0][:_CLEAN]])
    labels = torch.cat([poisoned[1][:FEW], clean[1][:_CLEAN]])
    optimizer = torch.optim.Adam(taught.parameters(), _RATE)
    rng = torch.Generator().manual_seed(seed)
    found = []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            taught.eval()
            found.append(float((answered(taught, poisoned[0][FEW:]).argmax(1) == poisoned[1][FEW:]).double().mean()))
            taught.train()
        batch = torch.randint(0, len(inputs), (_BATCH,), generator=rng).to(inputs.device)
        optimizer.zero_grad()
        functional.cross_entropy(taught(inputs[batch]), labels[batch]).backward()
        optimizer.step()
    return found
