"""One plain fit loop: shuffled mini-batches, AdamW with a one-cycle rate, early stopping on a held-out part, dynamics recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.nets.convnet import ConvNet, ConvNetSpec, to_batch
from untaint.nets.sharpness import climbed
from untaint.types import Labels, Pixels, Rows


@final
@dataclass(frozen=True)
class FitPlan:
    """How long and how to train.

    steps: updates aimed at, turned into whole epochs between min_epochs and max_epochs.
    patience: epochs without a better held-out loss before training stops; holdout: share of rows kept for that.
    device: where the updates are made, as torch names it; the network comes back to the CPU.
    sam: radius of sharpness-aware minimisation, 0 = none; it doubles the cost.
    """

    steps: int = 2400
    min_epochs: int = 4
    max_epochs: int = 20
    batch: int = 128
    rate: float = 4e-3
    weight_decay: float = 1e-2
    holdout: float = 0.05
    patience: int = 3
    seed: int = 0
    device: str = "cpu"
    sam: float = 0.0

    def epochs(self, n: int) -> int:
        """Whole epochs for n rows."""
        return min(self.max_epochs, max(self.min_epochs, round(self.steps * self.batch / max(n, 1))))


@final
@dataclass(frozen=True)
class Fitted:
    """A trained network and what happened.

    holdout_loss: one per epoch.  dynamics: (epochs, n) loss of each row of the pixels when it was trained on in that epoch,
    NaN for rows that were held out or not asked for.
    """

    net: ConvNet
    holdout_loss: tuple[float, ...]
    dynamics: np.ndarray


Progress = Callable[[int, int], None]
"""Called with (updates done, updates planned)."""


def _silent(_done: int, _total: int) -> None:
    return


def fit(spec: ConvNetSpec, pixels: Pixels, labels: Labels, rows: Rows, plan: FitPlan, progress: Progress = _silent) -> Fitted:
    """Train a ConvNet on some rows; rows without a label must not be among them.

    Deterministic for one seed, machine and thread count. Pixels may be a memory map: one batch is read at a time.
    """
    torch.manual_seed(plan.seed)
    order = np.random.default_rng(plan.seed)
    shuffled = order.permutation(rows)
    held = shuffled[: int(len(rows) * plan.holdout)]
    train = shuffled[len(held) :]
    net = ConvNet(spec).to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    epochs, per_epoch = plan.epochs(len(rows)), ceil(len(train) / plan.batch)
    optimizer = torch.optim.AdamW(net.parameters(), plan.rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=epochs * per_epoch)
    losses: list[float] = []
    dynamics = np.full((epochs, len(pixels)), np.nan, np.float32)
    for epoch in range(epochs):
        net.train()
        mixed = order.permutation(train)
        for step, start in enumerate(range(0, len(mixed), plan.batch)):
            batch = np.sort(mixed[start : start + plan.batch])
            wanted = torch.from_numpy(labels[batch]).to(plan.device)
            optimizer.zero_grad()
            dynamics[epoch, batch] = _pulled(net, _placed(net, pixels[batch]), wanted, plan.sam)
            optimizer.step()
            schedule.step()
            progress(epoch * per_epoch + step + 1, epochs * per_epoch)
        losses.append(_loss(net, pixels, labels, held) if len(held) else float(np.nanmean(dynamics[epoch])))
        if len(losses) - 1 - int(np.argmin(losses)) >= plan.patience:
            break
    return Fitted(net.cpu().eval(), tuple(losses), dynamics[: len(losses)])


def _pulled(net: nn.Module, images: Tensor, wanted: Tensor, radius: float) -> np.ndarray:
    """Loss of each row (m,); leaves the gradients of their mean in the weights, or those of the worst nearby."""
    each = functional.cross_entropy(net(images), wanted, reduction="none")
    each.mean().backward()
    if radius > 0:
        with climbed(net, radius):
            functional.cross_entropy(net(images), wanted).backward()
    return np.asarray(each.detach().cpu().numpy())


@torch.no_grad()
def _loss(net: nn.Module, pixels: Pixels, labels: Labels, rows: Rows) -> float:
    net.eval()
    return float(functional.cross_entropy(torch.from_numpy(logits(net, pixels, rows)), torch.from_numpy(labels[rows])))


@torch.no_grad()
def logits(net: nn.Module, pixels: Pixels, rows: Rows, batch: int = 1000) -> np.ndarray:
    """Logits (m, classes) of some rows."""
    return np.concatenate([net(_placed(net, pixels[rows[i : i + batch]])).cpu().numpy() for i in range(0, len(rows), batch)])


@torch.no_grad()
def penultimate(net: ConvNet, pixels: Pixels, rows: Rows, batch: int = 1000) -> np.ndarray:
    """Hidden features (m, hidden) of some rows, after the ReLU."""
    return np.concatenate([net.features(to_batch(pixels[rows[i : i + batch]]) - 0.5).numpy() for i in range(0, len(rows), batch)])


def _placed(net: nn.Module, pixels: Pixels) -> Tensor:
    return to_batch(pixels).to(next(net.parameters()).device)
