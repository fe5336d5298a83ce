"""A file as bytes at any offset; a compressed one is unpacked once into an unnamed temporary file."""

import gzip
import os
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias, final

import pyarrow as pa

from untaint.errors import BadInput

COMPRESSED = (".gz", ".tgz", ".zst")
_BLOCK = 1 << 20

Span: TypeAlias = tuple[int, int]
"""Offset and size in bytes."""


@final
class RandomBytes:
    """One file, plain or compressed. Copies of it (in another process) open the file again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unpacked: IO[bytes] | None = None

    def __reduce__(self) -> tuple[type["RandomBytes"], tuple[Path]]:
        return RandomBytes, (self.path,)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The plain bytes from the start."""
        if self.path.suffix.lower() not in COMPRESSED:
            with self.path.open("rb") as plain:
                yield plain
            return
        if self._unpacked is None:
            self._unpacked = unpack(self.path)
            weakref.finalize(self, self._unpacked.close)
        self._unpacked.seek(0)
        yield self._unpacked

    def read(self, spans: Sequence[Span]) -> list[bytes]:
        """The bytes of each span. Raises BadInput when the file became shorter than it was when indexed."""
        with self.open() as file:
            found = [os.pread(file.fileno(), size, offset) for offset, size in spans]
        if any(len(data) != size for data, (_, size) in zip(found, spans, strict=True)):
            raise BadInput(f"{self.path} has changed since it was indexed.", advice="Run again on data nobody is writing to.")
        return found


def unpack(path: Path) -> IO[bytes]:
    """The decompressed bytes in a temporary file. Raises BadInput for a truncated or broken file."""
    target: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the data set
    try:
        with open_compressed(path) as packed:
            while block := packed.read(_BLOCK):
                target.write(block)
    except BaseException:
        target.close()
        raise
    target.flush()
    return target


@contextmanager
def open_compressed(path: Path) -> Iterator[IO[bytes]]:
    """A .gz or .zst file as its decompressed bytes, in one pass. Raises BadInput for a truncated or broken file."""
    try:
        with _decompressor(path) as packed:
            yield packed
    except (EOFError, zlib.error, OSError, MemoryError, pa.ArrowException) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise BadInput(f"{path} is truncated or broken: {error}.", advice="Fetch the file again.") from error


def _decompressor(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix.lower() in {".gz", ".tgz"} else pa.input_stream(path, compression="zstd")
