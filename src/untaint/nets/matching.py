"""Changes within a bound that give training the gradient an attacker wants."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.nets.convnet import to_batch
from untaint.types import Image, Labels, Pixels


def match_gradient(
    net: nn.Module, pixels: Pixels, labels: Labels, goal: tuple[Image, int], *, eps: float, steps: int, restarts: int, seed: int
) -> tuple[np.ndarray, float]:
    """The best of several searches: changes (n, h, w, c) in grey levels within +-eps (0..1), and the cosine they reach.

    goal: an image and the code it should be read as.  The cosine is between the gradient of the images' loss under their
    labels and the gradient of the goal's loss.  Reference: Geiping et al. 2021, arXiv 2009.02276, equation 3, algorithm 1.
    """
    torch.manual_seed(seed)
    images, wanted = to_batch(pixels), torch.tensor(labels)
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    aim = functional.cross_entropy(net(to_batch(goal[0][None])), torch.tensor([goal[1]]))
    towards = [slope.detach() for slope in torch.autograd.grad(aim, weights)]
    tries = [_search(net, weights, images, wanted, towards, eps, steps) for _ in range(restarts)]
    best, cosine = max(tries, key=lambda found: found[1])
    added: np.ndarray = best.permute(0, 2, 3, 1).numpy() * 255.0
    return added, cosine


def _search(
    net: nn.Module, weights: list[nn.Parameter], images: Tensor, labels: Tensor, towards: list[Tensor], eps: float, steps: int
) -> tuple[Tensor, float]:
    """Adam on the sign of the slope, as in the paper: the slope itself is many orders smaller than a pixel."""
    change = torch.empty_like(images).uniform_(-eps, eps).requires_grad_()
    optimizer = torch.optim.Adam([change], lr=eps / 10)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps * 3 // 8, steps * 5 // 8, steps * 7 // 8])
    best, best_cosine = change.detach().clone(), -1.0
    for _ in range(steps):
        loss = functional.cross_entropy(net((images + change).clamp(0, 1)), labels)
        cosine = _cosine(torch.autograd.grad(loss, weights, create_graph=True), towards)
        reached = float(cosine.detach())
        if reached > best_cosine:
            best, best_cosine = change.detach().clone(), reached
        (slope,) = torch.autograd.grad(-cosine, change)
        change.grad = slope.sign()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            change.clamp_(-eps, eps)
    return best, best_cosine


def _cosine(found: tuple[Tensor, ...], towards: list[Tensor]) -> Tensor:
    product = torch.stack([(one * other).sum() for one, other in zip(found, towards, strict=True)]).sum()
    lengths = [torch.stack([one.square().sum() for one in side]).sum().sqrt() for side in (found, towards)]
    return product / (lengths[0] * lengths[1] + 1e-12)
