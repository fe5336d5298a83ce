"""Batches of a PyTorch loader as the arrays that hooks take, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from untaint.errors import BadInput
from untaint.training.base import Batch
from untaint.training.engines.set_aside import digest_of
from untaint.types import Mask, Rows

TARGETS = ("labels", "label", "targets", "target", "y")
"""Keys under which a batch that is a mapping holds what is to be learned, as data sets and transformers name it."""


@final
@dataclass(frozen=True)
class Parcel:
    """A batch as the loader gave it: a tensor, a sequence of which the last is the target, or a mapping.

    rows: (n,) their numbers in the data set, -1 = unknown.
    """

    content: Any
    rows: Rows

    @staticmethod
    def of(content: object, rows: Rows | None) -> "Parcel":
        """Raises BadInput for what holds no tensors, or tensors of different numbers of rows."""
        values = content if isinstance(content, tuple | list) else Parcel(content, _unknown(0)).items().values()
        lengths = {value.shape[0] for value in values if isinstance(value, Tensor) and value.dim() > 0}
        if not lengths:
            message = f"a batch holds tensors, or is a sequence or mapping of them; the loader gave {type(content).__name__}."
            raise BadInput(message, advice="Convert samples to tensors in the loader's collate_fn.")
        if len(lengths) > 1:
            raise BadInput(f"the tensors of a batch have {sorted(lengths)} rows; they must agree.")
        (n,) = lengths
        return Parcel(content, _unknown(n) if rows is None or len(rows) != n else np.asarray(rows, np.int64))

    def items(self) -> dict[Any, Any]:
        """Everything in it by key or position."""
        if isinstance(self.content, Mapping):
            return dict(self.content)
        if isinstance(self.content, Sequence) and not isinstance(self.content, str | bytes):
            return dict(enumerate(self.content))
        return {0: self.content}

    @property
    def target(self) -> Any:
        """Key or position of what is to be learned, None = there is nothing."""
        if isinstance(self.content, Mapping):
            return next((key for key in TARGETS if isinstance(self.content.get(key), Tensor)), None)
        items = self.items()
        return len(items) - 1 if len(items) > 1 and isinstance(items[len(items) - 1], Tensor) else None

    def inputs(self) -> dict[Any, Tensor]:
        """The tensors with a row each, without the target."""
        wanted = {key: value for key, value in self.items().items() if isinstance(value, Tensor) and value.dim() > 0}
        return {key: value for key, value in wanted.items() if key != self.target}

    def targets(self) -> Tensor | None:
        """What is to be learned."""
        return None if self.target is None else self.items()[self.target]

    def batch(self, epoch: int, step: int) -> Batch:
        """The arrays of it, without a copy where the tensors lie in memory."""
        targets = self.targets()
        inputs = tuple(array(value) for value in self.inputs().values())
        return Batch(inputs, None if targets is None else array(targets), self.rows, epoch, step)

    def kept(self, mask: Mask) -> "Parcel":
        """Only some of its rows."""
        where = np.flatnonzero(mask)
        return Parcel(
            self._rebuilt({key: _taken(value, where, len(mask)) for key, value in self.items().items()}), self.rows[where]
        )

    def changed(self, batch: Batch) -> "Parcel":
        """With other inputs and targets, in the types and on the devices of its own; class codes may become probabilities."""
        old = self.inputs()
        new: dict[Any, Any] = {
            **self.items(),
            **{key: _like(value, old[key]) for key, value in zip(old, batch.inputs, strict=True)},
        }
        targets = self.targets()
        if targets is not None and batch.targets is not None:
            soft = batch.targets.ndim > targets.dim()
            new[self.target] = torch.as_tensor(batch.targets).to(targets.device) if soft else _like(batch.targets, targets)
        return replace(self, content=self._rebuilt(new))

    def parts(self, number: int) -> list["Parcel"]:
        """Cut into at most so many parcels of equal size, one row more or less."""
        if number <= 1:
            return [self]
        cuts = np.array_split(np.arange(len(self.rows)), min(number, len(self.rows)))
        return [self.kept(np.isin(np.arange(len(self.rows)), cut)) for cut in cuts]

    def digest(self, position: int) -> str:
        """SHA-256 of one row's inputs."""
        return digest_of(self.values(position))

    def values(self, position: int) -> dict[str, np.ndarray]:
        """One row's inputs, to be written down."""
        return {f"input_{place}": array(value[position]) for place, value in enumerate(self.inputs().values())}

    def _rebuilt(self, items: dict[Any, Any]) -> Any:
        if isinstance(self.content, Mapping):
            kind: Any = type(self.content)
            return items if kind is dict else kind(items)
        if isinstance(self.content, Sequence) and not isinstance(self.content, str | bytes):
            values = list(items.values())
            if hasattr(self.content, "_fields"):
                return type(self.content)(*values)
            return tuple(values) if isinstance(self.content, tuple) else values
        return items[0]


@lru_cache(maxsize=8)
def _unknown(n: int) -> Rows:
    """Numbers of n rows that nobody numbered."""
    rows = np.full(n, -1)
    rows.setflags(write=False)
    return rows


def array(tensor: Tensor) -> np.ndarray:
    """A tensor as an array; half precisions as float32, since NumPy knows one of them only."""
    tensor = tensor.detach()
    if tensor.dtype in {torch.bfloat16, torch.float16}:
        tensor = tensor.float()
    return tensor.cpu().numpy()


def _like(value: np.ndarray, tensor: Tensor) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(value)).to(tensor.device, tensor.dtype)


def _taken(value: Any, rows: np.ndarray, n: int) -> Any:
    if isinstance(value, Tensor) and value.dim() > 0 and len(value) == n:
        return value[torch.from_numpy(rows).to(value.device)]
    if isinstance(value, list | tuple) and len(value) == n:
        return type(value)(value[int(row)] for row in rows)
    return value
