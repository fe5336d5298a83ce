"""Changes within a bound that mislead a network: projected gradient descent."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.nets.convnet import ConvNet, ConvNetSpec, to_batch
from untaint.nets.painter import CraftPlan, shuffled
from untaint.types import Labels, Pixels, Rows

_REACH, _LONGEST = 2.5, 1.25
"""Steps of 2.5 eps / their number, so that any point of the box can be reached, and left again; 1.25 eps for a single step, as in
fast adversarial training (Wong et al. 2020)."""


def hardened(spec: ConvNetSpec, pixels: Pixels, labels: Labels, rows: Rows, plan: CraftPlan, eps: float) -> ConvNet:
    """A ConvNet trained on images that were made to mislead it: its mistakes are about what is in the picture.

    Reference: fast adversarial training, Wong, Rice, Kolter 2020, arXiv 2001.03994.
    """
    torch.manual_seed(plan.seed)
    net, batches = ConvNet(spec), list(shuffled(len(rows), plan))
    optimizer = torch.optim.AdamW(net.parameters(), plan.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=len(batches))
    for batch in batches:
        images, wanted = to_batch(pixels[rows[batch]]), torch.tensor(labels[rows[batch]])
        shown = (images + _ascend(net, images, wanted, eps, 1)).clamp(0, 1)
        optimizer.zero_grad()
        functional.cross_entropy(net(shown), wanted).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def mislead(net: nn.Module, pixels: Pixels, labels: Labels, *, eps: float, steps: int, batch: int = 250) -> np.ndarray:
    """Changes (n, h, w, c) in grey levels, within +-eps (0..1) each, that raise the network's loss on the right labels.

    Reference: Madry et al. 2018, arXiv 1706.06083.
    """
    parts = [
        _ascend(net, to_batch(pixels[i : i + batch]), torch.tensor(labels[i : i + batch]), eps, steps)
        for i in range(0, len(pixels), batch)
    ]
    added: np.ndarray = torch.cat(parts).permute(0, 2, 3, 1).numpy() * 255.0
    return added


def _ascend(net: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
    change = torch.zeros_like(images).uniform_(-eps, eps)
    for _ in range(steps):
        change = change.detach().requires_grad_()
        loss = functional.cross_entropy(net((images + change).clamp(0, 1)), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, change)
        change = (change.detach() + min(_REACH / steps, _LONGEST) * eps * slope.sign()).clamp(-eps, eps)
    return change
