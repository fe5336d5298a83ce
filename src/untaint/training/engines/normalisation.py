"""Batch normalisation replaced by what normalises each row by itself."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple, TypeAlias, final

import torch
from torch import nn

from untaint.errors import BadInput

_MOST = 32
"""Groups; 32 did best for image networks (Wu, He 2018, arXiv 1803.08494, table 3)."""
_LEAST = 2
"""Channels in a group. A group of one channel holds a single number where an input has no extent: minus its own mean it is always 0,
and the data are gone."""
_LEAST_FLAT, _FEWEST_FLAT = 16, 4
"""The same for BatchNorm1d, whose inputs may have no extent: two numbers, normalised, are 1 and -1 whatever they were; of sixteen
little is lost. And the fewest channels that may be one group."""
_BATCH: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@final
class Replaced(NamedTuple):
    """One layer that was replaced. name: in the model.  groups: of the new one, each of `channels / groups` channels."""

    name: str
    old: str
    groups: int
    channels: int


def without_batch_norm(model: nn.Module) -> tuple[Any, list[Replaced]]:
    """A copy of the model with group normalisation in place of batch normalisation, and what was replaced.

    Learned scales and offsets are taken over, running statistics are lost: train on afterwards. Layers that write over their input
    (`nn.ReLU(inplace=True)`) are told not to, since a row's gradient is made of it. Groups: the largest number up to 32 that divides the
    channels and leaves two in each, sixteen for `BatchNorm1d`. BadInput: a layer of fewer channels than can be normalised within a row;
    lazy layers that have not seen data.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, nn.modules.lazy.LazyModuleMixin):
            raise BadInput(f"The layer {name} does not know its sizes yet.", advice="Run the model on a batch first.")
    changed = deepcopy(model)
    if isinstance(changed, _NORMS):
        new, what = _instead(changed, "")
        return new, [what]
    replaced: list[Replaced] = []
    made: dict[int, nn.GroupNorm] = {}  # a layer used in two places stays one layer
    for name, parent, child, layer in list(_layers(changed)):
        if isinstance(layer, _NORMS):
            if id(layer) not in made:
                made[id(layer)], what = _instead(layer, name)
                replaced.append(what)
            setattr(parent, child, made[id(layer)])
        elif getattr(layer, "inplace", False) is True:
            layer.inplace = False
    return changed, replaced


def _layers(parent: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module, str, Any]]:
    """Every layer under each of its names, also of one that is used in two places, and the module that holds it."""
    for child, layer in parent._modules.items():  # noqa: SLF001  # named_children leaves out the second name of a shared layer
        if layer is not None:
            yield path + child, parent, child, layer
            yield from _layers(layer, f"{path}{child}.")


def _instead(layer: _BATCH, name: str) -> tuple[nn.GroupNorm, Replaced]:
    channels, flat = layer.num_features, isinstance(layer, nn.BatchNorm1d)
    fewest = _FEWEST_FLAT if flat else _LEAST
    if channels < fewest:
        raise BadInput(
            f"The layer {name or 'itself'} normalises {channels} channel{'s' * (channels > 1)}: too few to measure a row against itself.",
            advice="Take it out of the model, and scale inputs before.",
        )
    most = max(1, min(_MOST, channels // (_LEAST_FLAT if flat else _LEAST)))
    groups = next(number for number in range(most, 0, -1) if channels % number == 0)
    affine = layer.weight is not None
    device = None if layer.weight is None else layer.weight.device
    new = nn.GroupNorm(groups, channels, eps=layer.eps, affine=affine, device=device)
    with torch.no_grad():
        for own in ("weight", "bias"):
            if (learned := getattr(layer, own)) is not None:
                getattr(new, own).copy_(learned).requires_grad_(learned.requires_grad)
    return new.train(layer.training), Replaced(name, type(layer).__name__, groups, channels)
