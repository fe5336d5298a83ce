"""The house network: a few 3x3 convolutions, small enough for a laptop, large enough to learn a trigger."""

import os

# OpenMP threads that spin while they wait cost 6-12 times the work on a busy machine; must precede the first import of torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from typing_extensions import override


@final
@dataclass(frozen=True)
class ConvNetSpec:
    """What a ConvNet looks like. widths: channels per block, each block halves the image; hidden: size of the penultimate layer."""

    height: int
    width: int
    channels: int
    classes: int
    widths: tuple[int, ...] = (16, 32, 64)
    hidden: int = 64


@final
class ConvNet(nn.Module):
    """Blocks of 3x3 convolution, 2x2 max-pooling and ReLU, then a hidden layer and a linear head.

    The maximum and ReLU may change places: what is cut off after pooling is a quarter of it, and a step costs two thirds.
    Input (n, c, h, w) in 0..1, output logits (n, classes). Images under 16 pixels are pooled fewer times.
    """

    def __init__(self, spec: ConvNetSpec) -> None:
        super().__init__()
        self.spec = spec
        blocks: list[nn.Module] = []
        height, width, channels = spec.height, spec.width, spec.channels
        for size in spec.widths:
            blocks.append(nn.Conv2d(channels, size, 3, padding=1))
            channels = size
            if min(height, width) >= 4:
                blocks.append(nn.MaxPool2d(2, ceil_mode=True))  # floor would drop the border, where triggers like to sit
                height, width = -(-height // 2), -(-width // 2)
            blocks.append(nn.ReLU())
        self.features = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(channels * height * width, spec.hidden), nn.ReLU())
        self.head = nn.Linear(spec.hidden, spec.classes)

    @override
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images - 0.5))
        return logits


def to_batch(pixels: object) -> Tensor:
    """Pixels (n, h, w, c) uint8 as a float tensor (n, c, h, w) in 0..1, channels last in memory (1.5 times faster on a CPU)."""
    batch = torch.tensor(pixels).permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
    return batch.contiguous(memory_format=torch.channels_last)
