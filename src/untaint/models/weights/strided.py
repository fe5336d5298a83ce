"""Tensors that do not lie in the file as they are read: transposed, or parts of a larger one."""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import final

import numpy as np
from typing_extensions import override

from untaint.models.weights.stored import Bytes, Span, cut


@final
@dataclass(frozen=True)
class Strided(Bytes):
    """Numbers of `width` bytes that lie `strides` numbers apart, read in the order of their shape.

    The whole stretch is held while they are read: such tensors are few.
    """

    whole: Bytes
    size: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    width: int

    @override
    def read(self, start: int, size: int) -> bytes:
        content = _content(self.whole, self.size)
        numbers = np.arange(start // self.width, (start + size) // self.width)
        places = np.unravel_index(numbers, self.shape)
        at = np.sum([place * stride for place, stride in zip(places, self.strides, strict=True)], axis=0)
        return content.reshape(-1, self.width)[at].tobytes()


@lru_cache(maxsize=2)
def _content(whole: Bytes, size: int) -> np.ndarray:
    return np.frombuffer(whole.read(0, size), np.uint8)


def laid_out(whole: Span, shape: tuple[int, ...], strides: tuple[int, ...], place: tuple[int, int, int], path: Path) -> Bytes:
    """Where a tensor lies in its storage. place: its first number, bytes of the storage, bytes of a number.

    Raises BadInput when it reaches beyond its storage, or claims more numbers than are stored.
    """
    start, size, width = place
    if prod(shape) == 0:
        return Span(path, whole.offset)
    reach = start + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True)) + 1
    if reach * width > size or prod(shape) * width > size:
        raise cut(path, f"a tensor claims {list(shape)} numbers, and its storage has {size // width:,}")
    plain = Span(path, whole.offset + start * width)
    if _plain(shape, strides):
        return plain
    return Strided(plain, (reach - start) * width, shape, strides, width)


def _plain(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    apart = 1
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != apart:
            return False
        apart *= length
    return True


def fortran(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a tensor whose first axis runs fastest."""
    return tuple(prod(shape[:at]) for at in range(len(shape)))
