"""What every reader of weights gives: names, shapes and formats of tensors, and their bytes piece by piece."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import BinaryIO, final

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics.number_formats import FORMATS, Format

ADVICE = (
    "Give a .safetensors file, a PyTorch file that holds tensors by name, a .keras, .h5, .npz or .npy file, or a folder with one of them "
    "(shards with their index too)."
)
MOST_AXES = 64
"""Axes of a tensor at most, as NumPy and PyTorch have it."""
MOST_TENSORS = 1_000_000
"""Names in one model at most: the largest published models have a few ten thousand."""


class NotRead(BadInput):
    """A model of a kind whose tensors can't be read one by one here."""


class Bytes(ABC):
    """Where the bytes of a tensor lie."""

    @abstractmethod
    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start`. Raises BadInput where the file ends before."""


@final
@dataclass(frozen=True)
class Span(Bytes):
    """A stretch of a file, uncompressed. The file is opened for every read: a model has more tensors than a process may open files."""

    path: Path
    offset: int

    @override
    def read(self, start: int, size: int) -> bytes:
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset + start)
            return _all_of(file, size, self.path)


@final
@dataclass(frozen=True)
class Held(Bytes):
    """Bytes that are small and already here."""

    content: bytes

    @override
    def read(self, start: int, size: int) -> bytes:
        return self.content[start : start + size]


@final
@dataclass(frozen=True)
class Stored:
    """A tensor on disk; its last axis runs fastest."""

    name: str
    form: Format
    shape: tuple[int, ...]
    at: Bytes

    @property
    def count(self) -> int:
        """Numbers in it."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of it."""
        return self.count * self.form.size

    @property
    def matrix(self) -> tuple[int, int, int]:
        """Rows, columns, and blocks of columns, when its first axes are laid against its last ones; a vector is a column.

        Split where the matrix is least long and thin: after the first axis of PyTorch's kernels (out, in, h, w), before the last of those
        of Keras (h, w, in, out), between the last two of stacked matrices. A block is one place on the first axis of the columns.
        """
        shape = self.shape
        if len(shape) < 2:
            return self.count, 1, 1
        split = max(range(1, len(shape)), key=lambda at: min(prod(shape[:at]), prod(shape[at:])))
        return prod(shape[:split]), prod(shape[split:]), shape[split]

    def raw(self, start: int, count: int) -> np.ndarray:
        """(count * size,) uint8 of numbers `start` and on."""
        return np.frombuffer(self.at.read(start * self.form.size, count * self.form.size), np.uint8)


@final
@dataclass(frozen=True)
class Weights:
    """All tensors of a model, by name, in the order of the file. metadata: what the file says beside. notes: what was not read, and why."""

    location: Path
    tensors: Mapping[str, Stored]
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Numbers in all of them."""
        return sum(tensor.count for tensor in self.tensors.values())


def gathered(location: Path, tensors: Iterator[Stored], metadata: Mapping[str, str], notes: list[str]) -> Weights:
    """All by name. Raises BadInput when a name comes twice, or there are too many or none."""
    found: dict[str, Stored] = {}
    for tensor in tensors:
        if tensor.name in found:
            raise BadInput(f"{location} names the tensor {tensor.name!r} twice.", advice="Take the file from its source again.")
        if len(found) >= MOST_TENSORS:
            raise BadInput(f"{location} names more than {MOST_TENSORS:,} tensors.", advice=ADVICE)
        found[tensor.name] = tensor
    if not found:
        raise BadInput(f"{location} holds no tensor.", advice=ADVICE)
    return Weights(location, found, metadata, tuple(notes))


def form_of(name: str) -> Format:
    """The format of this name, raw bytes for one that is not known."""
    return FORMATS.get(name, FORMATS["raw"])


def cut(path: Path, why: str) -> BadInput:
    """The error for a file that is not what it says."""
    return BadInput(f"{path} is cut short or was changed: {why}.", advice="Take it from its source again.")


def _all_of(file: BinaryIO, size: int, path: Path) -> bytes:
    content = file.read(size)
    while len(content) < size:
        more = file.read(size - len(content))
        if not more:
            raise cut(path, f"{size:,} bytes were to follow, {len(content):,} do")
        content += more
    return content
