"""NumPy: one array (.npy), or a zip of them (.npz). Arrays of objects are pickles, and are not read."""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import IO, Any, final

import numpy as np
from numpy.lib import format as layout
from typing_extensions import override

from untaint.errors import BadInput
from untaint.models.weights.archive import Archive
from untaint.models.weights.stored import Bytes, Span, Stored, Weights, cut, form_of, gathered
from untaint.models.weights.strided import Strided, fortran
from untaint.numerics.number_formats import Format

_MOST_HEADER = 65_536
_INFLATES = 2_000
"""Times a compressed array may be larger than its file takes: DEFLATE itself stops at 1,032."""


@final
@dataclass(frozen=True)
class Inflated(Bytes):
    """A compressed member of an archive. Reading on is quick; reading backwards begins again."""

    archive: Path
    member: str
    offset: int

    @override
    def read(self, start: int, size: int) -> bytes:
        try:
            file = _opened(self.archive, self.member)
            file.seek(self.offset + start)
            content = file.read(size)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
            raise cut(self.archive, f"{self.member}: {error}") from error
        if len(content) != size:
            raise cut(self.archive, f"{self.member} ends early")
        return content


@lru_cache(maxsize=4)
def _opened(archive: Path, member: str) -> IO[bytes]:
    """Kept open, since finding a place in it takes inflating all before; two models are read side by side."""
    return zipfile.ZipFile(archive).open(member)


def one(path: Path) -> Weights:
    """The array of a .npy file, called `array`. Raises BadInput for anything else."""
    with path.open("rb") as file:
        array = _described(file, path, path.stat().st_size)
    return gathered(path, iter([array.stored("array", Span(path, array.offset))]), {}, [])


def many(path: Path) -> Weights:
    """The arrays of a .npz file. Raises BadInput for anything else."""
    archive = Archive.read(path)
    notes: list[str] = []
    return gathered(path, _arrays(archive, notes), {}, notes)


def _arrays(archive: Archive, notes: list[str]) -> Iterator[Stored]:
    for name, member in archive.members.items():
        if not name.endswith(".npy"):
            notes.append(f"{name}: not an array, not read")
            continue
        if member.size > _INFLATES * max(member.stored, 1):
            raise cut(archive.path, f"{name} claims to grow to {member.size:,} bytes from {member.stored:,}")
        with archive.opened(name) as file:
            array = _described(file, archive.path, member.size)
        plain = Span(archive.path, member.offset + array.offset)
        yield array.stored(name.removesuffix(".npy"), plain if member.plain else Inflated(archive.path, name, array.offset))


@final
@dataclass(frozen=True)
class _Array:
    """form: name of its format.  offset: of its first byte.  fortran: its first axis runs fastest."""

    form: Format
    shape: tuple[int, ...]
    offset: int
    fortran: bool

    def stored(self, name: str, at: Bytes) -> Stored:
        size = prod(self.shape) * self.form.size
        turned = Strided(at, size, self.shape, fortran(self.shape), self.form.size) if self.fortran and size else at
        return Stored(name, self.form, self.shape, turned)


def _described(file: IO[bytes], path: Path, size: int) -> _Array:
    try:
        version = layout.read_magic(file)
        read: Any = layout.read_array_header_1_0 if version == (1, 0) else layout.read_array_header_2_0
        shape, turned, kind = read(file, max_header_size=_MOST_HEADER)
    except (ValueError, EOFError, OSError, RecursionError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise cut(path, f"an array has no sound header ({str(error)[:80]})") from error
    if kind.hasobject or kind.names or kind.kind not in "biufc":
        raise BadInput(
            f"{path} holds an array of {kind}: that is no tensor, and objects are pickles.", advice="Save plain numbers."
        )
    if kind.byteorder == ">" or not all(length >= 0 for length in shape) or kind.name not in _KNOWN:
        raise BadInput(f"{path} holds numbers of the type {kind.str}, which is not read.", advice="Save them as float32.")
    offset = file.tell()
    if prod(shape) * kind.itemsize != size - offset:
        raise cut(path, f"an array claims {list(shape)} numbers of {kind.itemsize} bytes, and has {size - offset:,} bytes")
    return _Array(form_of(kind.name), tuple(shape), offset, turned and len(shape) > 1)


_KNOWN = {np.dtype(kind).name for kind in ("f8", "f4", "f2", "c8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")}
