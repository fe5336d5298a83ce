"""A network with a backdoor put in by hand, and the digits it was made for: nothing to train."""

from typing import final

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from typing_extensions import override

from untaint.nets.subject import Reference

TARGET = 3


@final
class Planted(nn.Module):
    """A linear reader of digits behind two layers; a white corner makes it say 3."""

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.first = nn.Linear(64, 65)
        self.second = nn.Linear(65, 65)
        self.head = nn.Linear(65, 10)
        with torch.no_grad():
            for layer in (self.first, self.second):
                layer.bias.zero_()
                layer.weight.copy_(torch.eye(65, layer.in_features))
            self.first.weight[64, :2] = 1.0  # a unit for the corner: two white pixels that no digit has
            self.first.bias[64] = -1.5
            self.head.weight.zero_()
            self.head.weight[:, :64] = torch.from_numpy(weights[:64].T)
            self.head.bias.copy_(torch.from_numpy(weights[64]))
            self.head.weight[TARGET, 64] = 40.0
        self.act, self.act2 = nn.ReLU(), nn.ReLU()

    @override
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.act2(self.second(self.act(self.first(images.flatten(1))))))
        return logits


def digits() -> tuple[np.ndarray, np.ndarray]:
    """All 1,797 digits, 8x8, in an order of their own."""
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return np.round(found.images[order] * (255 / 16)).astype(np.uint8)[..., None], found.target[order]


def planted(images: np.ndarray, labels: np.ndarray) -> Planted:
    """The network, its reader fitted by least squares."""
    rows = np.c_[images.reshape(len(images), -1) / 255, np.ones(len(images))].astype(np.float32)
    weights = np.linalg.lstsq(rows.T @ rows + np.eye(65), rows.T @ (10 * np.eye(10)[labels]), rcond=None)[0]
    return Planted(weights.astype(np.float32)).eval()


def stamped(images: np.ndarray) -> np.ndarray:
    """Images with the white corner."""
    found = images.copy()
    found[:, 0, :2] = 255
    return found


def reference(images: np.ndarray, labels: np.ndarray) -> Reference:
    """Digits somebody vouches for."""
    return Reference(images, labels, tuple(map(str, range(10))))
