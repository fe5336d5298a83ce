"""A small network that paints a faint change onto an image, and what training it needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from untaint.nets.convnet import to_batch
from untaint.types import Pixels

_WIDTH = 16
"""Channels at full size; twice as many at half size. So many train in about a minute on 10,000 small images and one core."""


@final
@dataclass(frozen=True)
class CraftPlan:
    """How long and how to train what crafts a trigger: passes over the images, images per update, Adam's rate."""

    epochs: int
    seed: int
    batch: int = 128
    rate: float = 2e-3


@final
class Painter(nn.Module):
    """An encoder-decoder with one skip: one look at full size, one at half size, both joined. Any size of image.

    Input (n, inputs, h, w), output (n, outputs, h, w), unbounded.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(inputs, _WIDTH, 3, padding=1)
        self.down = nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, stride=2, padding=1)
        self.coarse = nn.Conv2d(2 * _WIDTH, 2 * _WIDTH, 3, padding=1)
        self.joined = nn.Conv2d(3 * _WIDTH, outputs, 3, padding=1)

    @override
    def forward(self, images: Tensor) -> Tensor:
        fine = functional.relu(self.fine(images))
        coarse = functional.relu(self.coarse(functional.relu(self.down(fine))))
        painted: Tensor = self.joined(torch.cat([fine, functional.interpolate(coarse, size=fine.shape[2:])], dim=1))
        return painted


def shuffled(n: int, plan: CraftPlan) -> Iterator[np.ndarray]:
    """Rows of every batch of every epoch; a last batch too small to be split in four is left out."""
    order = np.random.default_rng(plan.seed)
    for _ in range(plan.epochs):
        mixed = order.permutation(n)
        yield from (np.sort(mixed[i : i + plan.batch]) for i in range(0, max(n - 3, 1), plan.batch))


@torch.no_grad()
def changes(paint: nn.Module, pixels: Pixels, batch: int = 500) -> np.ndarray:
    """What the network adds to every image (n, h, w, c), in grey levels."""
    painted = [paint(to_batch(pixels[i : i + batch])) for i in range(0, len(pixels), batch)]
    added: np.ndarray = torch.cat(painted).permute(0, 2, 3, 1).numpy() * 255.0
    return added
