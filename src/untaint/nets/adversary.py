"""Changes within a bound that mislead a network: projected gradient descent."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.nets.convnet import ConvNet, ConvNetSpec, to_batch
from untaint.types import Labels, Pixels, Rows

_BATCH = 128
_RATE = 4e-3
"""The house network's own (see `fit.FitPlan`)."""
_STEP = 2.5
"""Steps are this many times the bound divided by their number: any point of the box can be reached, and left again."""


def hardened(spec: ConvNetSpec, pixels: Pixels, labels: Labels, rows: Rows, *, eps: float, epochs: int, seed: int) -> ConvNet:
    """A ConvNet trained on images that were made to mislead it: its mistakes are about what is in the picture.

    Reference: fast adversarial training, Wong, Rice, Kolter 2020, arXiv 2001.03994.
    """
    torch.manual_seed(seed)
    order, net = np.random.default_rng(seed), ConvNet(spec)
    optimizer = torch.optim.AdamW(net.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=epochs * -(-len(rows) // _BATCH))
    for _ in range(epochs):
        mixed = order.permutation(rows)
        for start in range(0, len(mixed), _BATCH):
            batch = np.sort(mixed[start : start + _BATCH])
            images, wanted = to_batch(pixels[batch]), torch.tensor(labels[batch])
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
        change.requires_grad_(requires_grad=True)
        loss = functional.cross_entropy(net((images + change).clamp(0, 1)), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, change)
        change = (change.detach() + min(_STEP / steps, 1.25) * eps * slope.sign()).clamp(-eps, eps)
    return change
