"""Small networks for tables and texts, and those that a user's own function makes."""

from typing import Any, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from untaint.errors import BadInput
from untaint.nets.convnet import ConvNet, ConvNetSpec
from untaint.nets.encoders import imported

_HIDDEN = (128, 64)  # of a table's network: a judgement, not compared with others
_MEANING = 64  # numbers per word


@final
class TableNet(nn.Module):
    """Two hidden layers. Input (n, d), output logits (n, classes)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        first, second = _HIDDEN
        self.features = nn.Sequential(nn.Linear(width, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU())
        self.head = nn.Linear(second, classes)

    @override
    def forward(self, rows: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(rows))
        return logits


@final
class TextNet(nn.Module):
    """The mean of words' vectors and a linear layer. Input (n, words) numbers, 0 = nothing; output logits (n, classes)."""

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words + 1, _MEANING, padding_idx=0)
        self.head = nn.Linear(_MEANING, classes)

    @override
    def forward(self, numbers: Tensor) -> Tensor:
        present = (numbers > 0).sum(1, keepdim=True).clamp(min=1)
        logits: Tensor = self.head(self.words(numbers).sum(1) / present.sqrt())
        return logits


def network(modality: str, shape: tuple[int, ...], classes: int, words: int, factory: str | None, seed: int) -> nn.Module:
    """An untrained network for inputs of this shape. factory: `module:function` that makes it of (shape, classes), None = of the house.

    Images come as (n, c, h, w) in 0..1. Raises BadInput for a factory that makes no torch module.
    """
    torch.manual_seed(seed)
    if factory is not None:
        return _made(factory, (shape[2], *shape[:2]) if modality == "image" else shape, classes)
    if modality == "image":
        height, width, channels = shape
        return ConvNet(ConvNetSpec(height, width, channels, classes)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TextNet(words, classes) if modality == "text" else TableNet(shape[0], classes)


def _made(address: str, shape: tuple[int, ...], classes: int) -> nn.Module:
    make: Any = imported(address, "network")
    advice = "`module:function` takes the shape of one input and the number of classes, and returns a torch module with logits."
    try:
        made = make(shape, classes)
    except Exception as error:  # the user's code may raise anything
        raise BadInput(f"the network {address!r} cannot be made: {type(error).__name__}: {error}.", advice=advice) from error
    if not isinstance(made, nn.Module):
        raise BadInput(f"{address!r} made {type(made).__name__}, no torch module.", advice=advice)
    return made
