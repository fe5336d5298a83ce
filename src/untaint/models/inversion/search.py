"""The strongest mark of a kind for every goal, by successive halving: many tried a little, few tried well."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from untaint.models.inversion.asked import Asked
from untaint.models.inversion.marks import Mark
from untaint.types import Rows

_TINY = 1e-6


@final
@dataclass(frozen=True)
class Goal:
    """source: the class whose images are turned, None = all.  target: what into, -1 = anything but their own."""

    source: int | None
    target: int


@final
@dataclass(frozen=True)
class Round:
    """keep: marks that go on, for each goal.  goals: goals that go on, None = all.  images, steps: spent on each mark."""

    keep: int
    images: int
    steps: int
    goals: int | None = None


@final
@dataclass(frozen=True)
class Tried:
    """One mark for one goal. loss: what is left to turn on the images it was made with."""

    mark: Mark
    params: Tensor
    goal: Goal
    loss: float


def halved(
    net: Asked, mark: Mark, starts: Tensor, goals: Sequence[Goal], rounds: Sequence[Round], rng: np.random.Generator
) -> list[Tried]:
    """The best mark of every goal that lasts, best first. starts: (m, ...) for every goal alike, or (goals, m, ...)."""
    each = starts if starts.ndim > _ndim(mark) else starts.expand(len(goals), *starts.shape)
    count = each.shape[1]
    params, owner = each.reshape(-1, *each.shape[2:]), np.repeat(np.arange(len(goals)), count)
    losses = np.zeros(len(owner))
    for turn in rounds:
        params, losses = _spent(net, mark, params, [goals[at] for at in owner.tolist()], turn, rng)
        chosen = _best(losses, owner, turn)
        params, losses, owner = params[torch.as_tensor(chosen, device=params.device)], losses[chosen], owner[chosen]
    order = np.argsort(losses, kind="stable")
    return [Tried(mark, params[at : at + 1], goals[int(owner[at])], float(losses[at])) for at in order.tolist()]


def _ndim(mark: Mark) -> int:
    return 2 if mark.kind == "blend" else 4


def _best(losses: np.ndarray, owner: np.ndarray, turn: Round) -> np.ndarray:
    kept: list[np.ndarray] = []
    for code in np.unique(owner):
        rows = np.flatnonzero(owner == code)
        kept.append(rows[np.argsort(losses[rows], kind="stable")[: turn.keep]])
    if turn.goals is not None:
        kept = sorted(kept, key=lambda rows: losses[rows].min())[: turn.goals]
    return np.concatenate(kept)


def _spent(
    net: Asked, mark: Mark, params: Tensor, goals: Sequence[Goal], turn: Round, rng: np.random.Generator
) -> tuple[Tensor, np.ndarray]:
    """Marks after a round, and the loss left of each."""
    rows = np.stack([_drawn(net, goal, turn.images, rng) for goal in goals])
    per = max(1, net.batch // turn.images)
    parts, losses = [], []
    for start in range(0, len(goals), per):
        part, loss = _descended(
            net, mark, params[start : start + per], rows[start : start + per], goals[start : start + per], turn.steps
        )
        parts.append(part)
        losses.append(loss)
    return torch.cat(parts), np.concatenate(losses)


def _drawn(net: Asked, goal: Goal, count: int, rng: np.random.Generator) -> Rows:
    """Rows to search with, of as many classes as can be."""
    pool = net.rows_of(net.fit, goal.source, goal.target)
    if goal.source is None:
        labels = net.labels[pool]
        weight = 1 / np.bincount(labels)[labels]
        return rng.choice(pool, count, replace=len(pool) < count, p=weight / weight.sum())
    return rng.choice(pool, count, replace=len(pool) < count)


def _descended(
    net: Asked, mark: Mark, params: Tensor, rows: np.ndarray, goals: Sequence[Goal], steps: int
) -> tuple[Tensor, np.ndarray]:
    device = net.images.device
    images, labels = net.images[torch.as_tensor(rows, device=device)], net.codes[torch.as_tensor(rows, device=device)]
    targets = torch.as_tensor([goal.target for goal in goals], device=device)[:, None].expand(labels.shape)
    for step in range(steps):
        free = params.detach().clone().requires_grad_()
        _left(net, mark.stamp(free, images), labels, targets).sum().backward()
        params = mark.moved(params, free.grad if free.grad is not None else torch.zeros_like(free), 1 - step / steps)
    with torch.no_grad():
        return params, _left(net, mark.stamp(params, images), labels, targets).cpu().numpy()


def _left(net: Asked, stamped: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """(n,) loss: of the target's log probability, or, where anything but their own will do, of that of all others."""
    n, b = labels.shape
    logs = functional.log_softmax(net.net(stamped.flatten(0, 1)), 1)
    towards = -logs.gather(1, targets.reshape(-1, 1).clamp(min=0))[:, 0]
    away = -torch.log1p(-logs.gather(1, labels.reshape(-1, 1))[:, 0].exp().clamp(max=1 - _TINY))
    return torch.where(targets.reshape(-1) >= 0, towards, away).reshape(n, b).mean(1)
