"""Changes within a bound that give training the gradient an attacker wants."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.nets.convnet import to_batch
from untaint.types import Image, Labels, Pixels


@final
@dataclass(frozen=True)
class SearchPlan:
    """eps: largest change of a pixel, 0..1.  steps: of each search.  restarts: searches from other starts."""

    eps: float
    steps: int
    restarts: int
    seed: int


@final
@dataclass(frozen=True)
class _Match:
    """Images with their labels, the network they train, and the gradient they shall give."""

    net: nn.Module
    images: Tensor
    labels: Tensor
    wanted: list[Tensor]

    def cosine(self, change: Tensor) -> Tensor:
        """Between the gradient of the changed images' loss and the one wanted."""
        loss = functional.cross_entropy(self.net((self.images + change).clamp(0, 1)), self.labels)
        found = torch.autograd.grad(loss, list(self.net.parameters()), create_graph=True)
        product = torch.stack([(one * other).sum() for one, other in zip(found, self.wanted, strict=True)]).sum()
        lengths = [torch.stack([one.square().sum() for one in side]).sum().sqrt() for side in (found, self.wanted)]
        return product / (lengths[0] * lengths[1] + 1e-12)


def match_gradient(
    net: nn.Module, pixels: Pixels, labels: Labels, goal: tuple[Image, int], plan: SearchPlan
) -> tuple[np.ndarray, float]:
    """The best of several searches: changes (n, h, w, c) in grey levels, and the cosine of the gradients they reach.

    goal: an image and the code it should be read as.
    Reference: Geiping et al. 2021, arXiv 2009.02276, equation 3 and algorithm 1.
    """
    torch.manual_seed(plan.seed)
    aim = functional.cross_entropy(net(to_batch(goal[0][None])), torch.tensor([goal[1]]))
    wanted = [slope.detach() for slope in torch.autograd.grad(aim, list(net.parameters()))]
    match = _Match(net, to_batch(pixels), torch.tensor(labels), wanted)
    best, cosine = max((_search(match, plan) for _ in range(plan.restarts)), key=lambda found: found[1])
    added: np.ndarray = best.permute(0, 2, 3, 1).numpy() * 255.0
    return added, cosine


def _search(match: _Match, plan: SearchPlan) -> tuple[Tensor, float]:
    """Adam on the sign of the slope, as in the paper: the slope itself is many orders smaller than a pixel."""
    change = torch.empty_like(match.images).uniform_(-plan.eps, plan.eps).requires_grad_()
    optimizer = torch.optim.Adam([change], plan.eps / 10)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [plan.steps * part // 8 for part in (3, 5, 7)])
    best, best_cosine = change.detach().clone(), -1.0
    for _ in range(plan.steps):
        cosine = match.cosine(change)
        reached = float(cosine.detach())
        if reached > best_cosine:
            best, best_cosine = change.detach().clone(), reached
        (slope,) = torch.autograd.grad(-cosine, change)
        change.grad = slope.sign()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            change.clamp_(-plan.eps, plan.eps)
    return best, best_cosine
