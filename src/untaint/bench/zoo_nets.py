"""Networks of the zoo besides the house's: small ones of the two families most models belong to."""

from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from untaint.nets.convnet import ConvNet, ConvNetSpec

Arch = Literal["convnet", "resnet", "vit"]
ARCHS: tuple[Arch, ...] = ("convnet", "resnet", "vit")
"""Convolutions without normalisation, residual ones with BatchNorm, and a vision transformer."""


@final
class _Residual(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        around = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.around: nn.Module = nn.Identity() if stride == 1 and inputs == outputs else around
        self.out = nn.ReLU()

    @override
    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.out(self.body(images) + self.around(images))
        return outputs


@final
class ResNet(nn.Module):
    """A residual network of three stages. Input (n, c, h, w) in 0..1, output logits (n, classes)."""

    def __init__(self, channels: int, classes: int, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        stages = [_Residual(width, width, 2), _Residual(width, 2 * width, 2), _Residual(2 * width, 4 * width, 2)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(4 * width, classes)

    @override
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stages(self.stem(images - 0.5)).mean((2, 3)))
        return logits


@final
class _Attention(nn.Module):
    """A transformer's block: every patch looks at all others, then at itself; both beside a way around."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.looks, self.joins = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.thinks = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        n, length, width = tokens.shape
        asked = self.looks(self.before(tokens)).reshape(n, length, 3, self.heads, width // self.heads)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n, length, width)
        tokens = tokens + self.joins(seen)
        outputs: Tensor = tokens + self.thinks(self.after(tokens))
        return outputs


@final
class ViT(nn.Module):
    """A vision transformer on patches of 4x4 pixels. Input (n, c, h, w) in 0..1, output logits (n, classes)."""

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        height, breadth, channels = shape
        self.patches = nn.Conv2d(channels, width, 4, 4)
        self.places = nn.Parameter(torch.randn(1, (height // 4) * (breadth // 4), width) * 0.02)
        self.blocks = nn.Sequential(*(_Attention(width, 4) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    @override
    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images - 0.5).flatten(2).transpose(1, 2) + self.places
        logits: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return logits


def made(arch: Arch, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """An untrained network for images (h, w, c)."""
    height, width, channels = shape
    if arch == "convnet":
        return ConvNet(ConvNetSpec(height, width, channels, classes))
    return ResNet(channels, classes) if arch == "resnet" else ViT(shape, classes)
