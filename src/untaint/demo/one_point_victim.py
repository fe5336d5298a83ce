"""The victim of one point: real images, a small network trained on them, and the points that wreck it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.bench import sources
from untaint.bench.victim import stacked
from untaint.data.dataset import Dataset
from untaint.errors import BadInput

EMBEDDED = 20_000
"""Rows whose features the head is trained further on."""
_TRIED = 2000  # rows an attacker tries pairs of classes on: shares of them are known to a per cent
_AT_ONCE = 1000
_PADDED = 16  # pixels: smaller images would vanish in two convolutions without padding
_PASSES = {True: 2, False: 12}
"""Over the training set: 60,000 images are learned to 98.5 % in two, a thousand need more."""
_LARGE = 10_000
RATE, BATCH = 0.1, 128
"""Of the training that is over when the point comes: the highest learning rate of a cycle, rows per step."""
TUNED = 0.01
"""Learning rate while a trained network is trained further, and the point comes."""


@final
@dataclass(frozen=True)
class Task:
    """Images (n, 1, h, w) in 0..1 and class codes (n,), to train and to test on.

    names: of the classes, in order of their codes.  digest: of the training set.
    """

    name: str
    digest: str
    images: Tensor
    codes: Tensor
    tested: Tensor
    truth: Tensor
    names: tuple[str, ...]

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.names)


@final
@dataclass(frozen=True)
class Point:
    """What an attacker sends: one input, called one class. of, to: codes of the class it is made of and of that it is called."""

    value: Tensor
    of: int
    to: int


def find_task(data: Path) -> Task:
    """MNIST where it was fetched into `data`, else Fashion-MNIST where it is installed, else scikit-learn's digits."""
    tried: list[tuple[str, Callable[[], tuple[Dataset, Dataset]]]] = [
        ("MNIST", lambda: sources.mnist(data)),
        ("Fashion-MNIST", sources.fashion_mnist),
    ]
    for name, get in tried:
        try:
            return task_of(name, *get())
        except BadInput:
            continue
    return task_of("handwritten digits of scikit-learn", *sources.digits())


def task_of(name: str, train: Dataset, test: Dataset) -> Task:
    """The same as tensors, in an order that is always the same."""
    names = tuple(train.class_names)
    order = np.random.default_rng(0).permutation(len(train))
    images, codes = _tensors(train, names)
    return Task(name, train.digest, images[order], codes[order], *_tensors(test, names), names)


def _tensors(dataset: Dataset, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    pixels = stacked(dataset, np.arange(len(dataset)))
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    return images, torch.tensor([names.index(str(label)) for label in dataset.labels])


def network(task: Task, *, batch_norm: bool = False) -> nn.Sequential:
    """Two convolutions of 3x3 (16, 32 channels), each pooled, as `[0]`, and a linear head as `[1]`."""
    size = task.images.shape[2:]
    padding = 0 if min(size) >= _PADDED else 1
    layers: list[nn.Module] = []
    channels = 1
    for width in (16, 32):
        layers += [nn.Conv2d(channels, width, 3, padding=padding)]
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers += [nn.MaxPool2d(2), nn.ReLU()]
        channels, size = width, torch.Size((side - 2 + 2 * padding) // 2 for side in size)
    return nn.Sequential(nn.Sequential(*layers, nn.Flatten()), nn.Linear(channels * size.numel(), task.classes))


def trained(task: Task, seed: int, progress: Callable[[int, int], None], *, batch_norm: bool = False) -> nn.Sequential:
    """The network after ordinary training by SGD with momentum .9 and one cycle of the learning rate. progress: steps done, planned."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = network(task, batch_norm=batch_norm)
        rows = len(task.images) if not batch_norm else min(len(task.images), EMBEDDED)
        passes = _PASSES[rows > _LARGE]
        optimizer = torch.optim.SGD(net.parameters(), RATE, momentum=0.9)
        steps = passes * -(-rows // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for step in range(steps):
            if step % (steps // passes) == 0:
                order = torch.randperm(rows)
            at = step % (steps // passes) * BATCH
            chosen = order[at : at + BATCH]
            optimizer.zero_grad()
            functional.cross_entropy(net(task.images[chosen]), task.codes[chosen]).backward()
            optimizer.step()
            schedule.step()
            progress(step + 1, steps)
    return net


def kept(file: Path, net: nn.Sequential, train: Callable[[], nn.Sequential]) -> nn.Sequential:
    """A network with the weights that a file holds; when it holds none, it is trained and its weights are kept there."""
    try:
        with np.load(file, allow_pickle=False) as held:
            net.load_state_dict({name: torch.from_numpy(held[name]) for name in net.state_dict()})
    except (OSError, ValueError, KeyError, RuntimeError):  # not there, cut short, or of another network
        net = train()
        np.savez(file, **{name: value.numpy() for name, value in net.state_dict().items()})
    return net


@torch.no_grad()
def answers(net: nn.Module, inputs: Tensor) -> Tensor:
    """(n, k) what a network answers, in evaluation mode; it is left in training mode."""
    net.eval()
    found = torch.cat([net(inputs[at : at + _AT_ONCE]) for at in range(0, len(inputs), _AT_ONCE)])
    net.train()
    return found


def accuracy(net: nn.Module, inputs: Tensor, truth: Tensor) -> float:
    """Share of inputs answered rightly, in 0..1. An answer that is not finite is wrong, whatever class it might be read as."""
    found = answers(net, inputs)
    return float(((found.argmax(1) == truth) & found.isfinite().all(1)).float().mean())


def far_image(task: Task, size: float) -> Point:
    """`size` times the way from the mean image of the second class to that of the first, called the second; NaN = nothing but NaN."""
    way = _mean(task.images, task.codes, 0) - _mean(task.images, task.codes, 1)
    return Point(torch.full_like(way, size) if np.isnan(size) else way * size, 0, 1)


def far_embedding(head: nn.Linear, features: Tensor, codes: Tensor, size: float) -> Point:
    """The same among features, for the pair of classes that leaves the fewest training rows right, which an attacker can try out."""
    tried = features[:_TRIED], codes[:_TRIED]
    pairs = permutations(range(head.out_features), 2)
    made = [between(features, codes, size, of, to) for of, to in pairs]
    return min(made, key=lambda point: accuracy(after_one_step(head, point), *tried))


def between(features: Tensor, codes: Tensor, size: float, of: int, to: int) -> Point:
    """`size` times the way from the mean of class `to` to that of class `of`, called `to`."""
    return Point(size * (_mean(features, codes, of) - _mean(features, codes, to)), of, to)


@torch.no_grad()
def after_one_step(head: nn.Linear, point: Point) -> nn.Linear:
    """A head after one step of which the point is all that counts: the rest of the batch is dwarfed by it."""
    pull = functional.softmax(head(point.value), 0)
    pull[point.to] -= 1
    moved = nn.Linear(head.in_features, head.out_features)
    moved.weight.copy_(head.weight - TUNED / BATCH * torch.outer(pull, point.value))
    moved.bias.copy_(head.bias - TUNED / BATCH * pull)
    return moved


def in_range(inputs: Tensor, codes: Tensor, of: int, to: int) -> Point:
    """The first row of one class, called another: wrong, and of usual size."""
    return Point(inputs[int((codes == of).nonzero()[0])], of, to)


def _mean(inputs: Tensor, codes: Tensor, code: int) -> Tensor:
    return inputs[codes == code].mean(0)
