"""Which training rows a change of weights goes back to: those whose gradients point along it, more than along the same change shuffled."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.evidence.finding import SourceShare
from untaint.evidence.sources import FEWEST_SOURCES, shares
from untaint.models.explain.why import ASKED, SHOWN, Senders
from untaint.nets.row_gradients import last_layer, row_gradients
from untaint.nets.subject import Reference, TorchSubject
from untaint.types import Rows

_SHORTLIST = 300  # rows whose loss fell most, of which gradients are taken: a second or two for small networks
_DRAWS, _NUMBERS = 99, 20_000_000
"""Shuffled changes compared with, and numbers they may hold in all (80 MB); under 19 nothing is said at 5 %."""


@final
@dataclass(frozen=True)
class Change:
    """What moved the weights.

    tensors: those that changed.  moved: length of the change over length of the weights.  rows, cosine (m,): training rows whose descent
    points along the change, most first; fell (m,): by how much their loss fell.  threshold: cosine that shuffled changes reach with the
    best of as many rows, at most.  aligned: rows beyond it.  p_value: that the best row is none better.  sources: with members among
    the aligned rows, against rows of the same labels; accused: names beyond alpha.
    """

    tensors: tuple[str, ...]
    moved: float
    rows: Rows
    cosine: np.ndarray
    fell: np.ndarray
    threshold: float
    aligned: int
    p_value: float
    sources: tuple[SourceShare, ...]
    accused: tuple[str, ...]
    alpha: float
    labels: tuple[tuple[str, int], ...]


def change(
    before: nn.Module,
    after: nn.Module,
    train: Reference,
    senders: Senders | None = None,
    *,
    only: Sequence[str] | None = None,
    alpha: float = 0.01,
) -> Change:
    """Explain the step from one module to another of the same shape. only: names of tensors to look at, None = all that changed.

    Rows are those whose loss fell most from before to after; the gradient of each at `before` is compared with the change.
    Raises BadInput for modules of different shapes, for a name no tensor has, and where nothing changed.
    Reference: TracIn, Pruthi et al. 2020, arXiv 2002.08484, of one step from checkpoint to checkpoint
    """
    weights, steps = _steps(before, after, only)
    delta = torch.cat([step.flatten() for step in steps.values()])
    old, new = last_layer(TorchSubject(before), train.inputs), last_layer(TorchSubject(after), train.inputs)
    rows = np.arange(len(train.labels))
    fell = _losses(old.logits, train.labels) - _losses(new.logits, train.labels)
    chosen = np.argsort(-fell, kind="stable")[:_SHORTLIST]
    lines = torch.stack([delta, *_shuffled(list(steps.values()))], 1)
    lines = lines / lines.norm(dim=0).clamp(min=1e-30)
    errors = old.take(chosen).errors(train.labels[chosen])
    found = np.stack([-(each @ lines).numpy() for each in row_gradients(before, train.inputs[chosen], errors, weights)])
    cosine, best = found[:, 0], found[:, 1:].max(0)
    order = np.argsort(-cosine, kind="stable")
    threshold = float(np.quantile(best, 1 - alpha, method="higher"))
    aligned = order[cosine[order] > threshold]
    whole = float(torch.cat([weight.detach().flatten() for weight in weights]).norm())
    members = rows[chosen[aligned[:ASKED]]]
    sources, accused = _sources(train, senders, members, alpha)
    return Change(
        tuple(steps),
        float(delta.norm()) / max(whole, 1e-12),
        rows[chosen[order[:SHOWN]]],
        cosine[order[:SHOWN]],
        fell[chosen[order[:SHOWN]]],
        threshold,
        len(aligned),
        float((1 + (best >= cosine.max()).sum()) / (1 + len(best))),
        sources,
        accused,
        alpha,
        tuple((train.classes[code], n) for code, n in Counter(train.labels[members].tolist()).most_common()),
    )


def _steps(before: nn.Module, after: nn.Module, only: Sequence[str] | None) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The weights of `before` that changed, and by how much."""
    old, new = dict(before.named_parameters()), dict(after.named_parameters())
    if {name: weight.shape for name, weight in old.items()} != {name: weight.shape for name, weight in new.items()}:
        raise BadInput("the two models do not have the same tensors.", advice="`untaint inspect --base` says what differs.")
    if unknown := sorted(set(only or ()) - set(old)):
        raise BadInput(f"the models have no tensor {unknown[0]!r}.", advice=f"They have {', '.join(sorted(old)[:20])}.")
    names = [name for name in (only or old) if not torch.equal(old[name], new[name])]
    if not names:
        raise BadInput("the weights looked at are the same in both models: there is no change to explain.")
    return [old[name] for name in names], {name: (new[name] - old[name]).detach().float().cpu() for name in names}


def _shuffled(steps: Sequence[Tensor]) -> list[Tensor]:
    """The same change, its numbers shuffled within each tensor: as long, and along nothing."""
    generator = torch.Generator().manual_seed(0)  # the same answer every time
    draws = max(19, min(_DRAWS, _NUMBERS // max(1, sum(step.numel() for step in steps))))
    return [
        torch.cat([step.flatten()[torch.randperm(step.numel(), generator=generator)] for step in steps]) for _ in range(draws)
    ]


def _losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    most = logits.max(1, keepdims=True)
    logs = logits - most - np.log(np.exp(logits - most).sum(1, keepdims=True))
    losses: np.ndarray = -logs[np.arange(len(labels)), labels]
    return losses


def _sources(
    train: Reference, senders: Senders | None, members: Rows, alpha: float
) -> tuple[tuple[SourceShare, ...], tuple[str, ...]]:
    """Against rows of the labels that the members have: a source that sends few classes is not accused for that."""
    if senders is None or not senders.names or not len(members):
        return (), ()
    universe = np.flatnonzero(np.isin(train.labels, train.labels[members]))
    found = shares(senders.codes[universe], senders.names, np.flatnonzero(np.isin(universe, members)))
    enough = len(senders.names) >= FEWEST_SOURCES
    return found, tuple(each.name for each in found if each.p_value <= alpha) if enough else ()
