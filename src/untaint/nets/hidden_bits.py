"""A bit string hidden in an image: an encoder paints it, a decoder reads it, and both learn together."""

from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from untaint.nets.convnet import to_batch
from untaint.nets.painter import CraftPlan, Painter, shuffled
from untaint.types import Pixels

_PLANES = 4
"""Planes at half size that the bits are spread over before the image comes in."""
_ALIKE = 0.3
"""Weight of how alike the changes of two images with one message are: from 75 % of their energy in common to 18 %."""
_VISIBLE = 0.01
"""Weight of what the eye sees of the change. Both grow from half-way on: earlier, the decoder would never learn to read."""
_FLAT = 0.05
"""Contrast below which a neighbourhood counts as flat: 13 grey levels, half of the default strength."""


@final
class BitPainter(nn.Module):
    """A change within +-strength that carries one bit string; input (n, c, h, w) in 0..1, of one size."""

    def __init__(self, shape: tuple[int, int, int], bits: int, strength: float, message: Tensor) -> None:
        super().__init__()
        self.size, self.strength, self.message = (-(-shape[0] // 2), -(-shape[1] // 2)), strength, message
        self.spread = nn.Linear(bits, _PLANES * self.size[0] * self.size[1])
        self.painter = Painter(shape[2] + _PLANES, shape[2])

    def paint(self, images: Tensor, messages: Tensor) -> Tensor:
        """The change for each image and its own message (n, bits) of 0 and 1."""
        planes = self.spread(2 * messages - 1).view(-1, _PLANES, *self.size)
        full = functional.interpolate(planes, size=images.shape[2:])
        return self.strength * torch.tanh(self.painter(torch.cat([images - 0.5, full], dim=1)))

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.paint(images, self.message.expand(len(images), -1))


def train_bit_painter(pixels: Pixels, plan: CraftPlan, *, bits: int, strength: float) -> tuple[BitPainter, float]:
    """A painter for one message drawn at random, and the share of bits of random messages that its decoder reads at the end."""
    torch.manual_seed(plan.seed)
    height, width, channels = pixels.shape[1:]
    painter = BitPainter((height, width, channels), bits, strength, torch.randint(0, 2, (bits,)).to(torch.float32))
    reader = _reader((height, width, channels), bits)
    optimizer = torch.optim.Adam([*painter.parameters(), *reader.parameters()], plan.rate)
    read: list[float] = []
    batches = list(shuffled(len(pixels), plan))
    for step, rows in enumerate(batches):
        images = to_batch(pixels[rows])
        half = torch.randint(0, 2, (-(-len(rows) // 2), bits)).to(torch.float32)
        messages = torch.cat([half, half])[: len(rows)]
        change = painter.paint(images, messages)
        rounding = (torch.rand_like(images) - 0.5) / 255.0
        shown = (images + change).clamp(0, 1) + rounding
        found = reader(shown - _around(shown))
        seen = (change / (_contrast(images) + _FLAT)).square().mean()
        late = max(2 * step / len(batches) - 1, 0)
        loss = functional.binary_cross_entropy_with_logits(found, messages)
        loss = loss + late * (_VISIBLE * seen + _ALIKE * _likeness(change))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        read.append(float(((found > 0) == (messages > 0.5)).float().mean()))
    return painter.eval(), float(np.mean(read[-10:]))


def _reader(shape: tuple[int, int, int], bits: int) -> nn.Module:
    height, width, channels = shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * -(-height // 2) * -(-width // 2), bits),
    )


def _likeness(change: Tensor) -> Tensor:
    """Squared cosine between the changes of two images that carry the same bits."""
    part = len(change) // 2
    return functional.cosine_similarity(change[:part].flatten(1), change[-part:].flatten(1)).square().mean()


def _around(images: Tensor) -> Tensor:
    """Mean of every pixel's 3x3 neighbourhood."""
    return functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)


def _contrast(images: Tensor) -> Tensor:
    """Standard deviation of every pixel's 3x3 neighbourhood."""
    return (_around(images.square()) - _around(images).square()).clamp(min=0).sqrt()
