"""The smallest smooth warp that makes a network answer a class: what is left of a warping trigger when nobody has the originals.

The warp is that of a coarse grid of steps, found by gradient descent through the network. Of a network that learned a warp as a
trigger it is small and forces the class; towards other classes it is large or forces little. As trigger inversion does for patches
(Wang et al. 2019, Neural Cleanse), with the warps of Nguyen, Tran 2021 (arXiv 2102.10369) in place of a mask.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from untaint.nets.convnet import to_batch
from untaint.nets.training import network
from untaint.types import Pixels

_NODES: Final = 5
"""Per side of the grid; WaNet's has 4. In a set with 8 % warped images (Fashion-MNIST) one of 8 makes warps towards three honest classes
force 51 to 62 % in place of 33 to 40 %, and the trigger's 96 % in place of 91 %."""
_UPDATES, _BATCH, _RATE = 120, 64, 0.1  # rate: pixels of an image of 32x32; twice the updates: 92 % in place of 91 %, as large
_SIDE = 32
"""Edge of the images that steps are weighed on, so that a warp costs the same at any resolution."""
_WEIGHT = 0.5
"""Of the mean squared step against the loss: a pixel and a half costs as much as answering at random among three. With a fifth of
that, warps towards honest classes grow from 1.7 to 2.6 pixels and force two thirds in place of a third."""


def bent_towards(weights: Mapping[str, np.ndarray], images: Pixels, code: int, seed: int) -> np.ndarray:
    """Steps (h, w, 2), down and right in pixels, of a small warp under which a house network answers a class.

    images: (n, h, w, c) of other classes.  Deterministic for one seed, machine and thread count.
    """
    net = network(weights, images).requires_grad_(False)
    height, width = images.shape[1:3]
    generator, order = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    nodes = (0.3 * torch.randn(1, 2, _NODES, _NODES, generator=generator)).requires_grad_()
    optimizer = torch.optim.Adam([nodes], _RATE)
    for _ in range(_UPDATES):
        batch = to_batch(images[order.choice(len(images), _BATCH)])
        field = functional.interpolate(nodes, size=(height, width), mode="bicubic", align_corners=True)
        answered = net(_resampled(batch, field * (max(height, width) / _SIDE)))
        loss = functional.cross_entropy(answered, torch.full((_BATCH,), code)) + _WEIGHT * (field**2).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.moveaxis((field.detach()[0] * (max(height, width) / _SIDE)).numpy(), 0, 2)


def _resampled(batch: Tensor, field: Tensor) -> Tensor:
    """Images at steps (1, 2, h, w) from every pixel; differentiable."""
    height, width = batch.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    down = (rows + field[0, 0]) * (2 / max(height - 1, 1)) - 1
    right = (columns + field[0, 1]) * (2 / max(width - 1, 1)) - 1
    places = torch.stack([right, down], -1).expand(len(batch), -1, -1, -1)
    return functional.grid_sample(batch, places, mode="bilinear", padding_mode="border", align_corners=True)
