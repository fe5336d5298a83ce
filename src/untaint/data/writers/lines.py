"""Text files record by record, byte for byte: what CSV and JSON lines share."""

import gzip
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, TypeAlias

import pyarrow as pa

from untaint.data.readers._bytes import RandomBytes
from untaint.data.readers._lines import Scan
from untaint.data.writers.base import Picks
from untaint.data.writers.shards import merged

Chunk: TypeAlias = tuple[bytes, bytes]
"""The record itself, and the same with the blank lines that stand before it (and, at the end of the file, after it)."""


@contextmanager
def opened_to_write(path: Path) -> Iterator[Any]:
    """A file to write, compressed as its suffix says; gzip without time or name, so that reruns agree."""
    suffix = path.suffix.lower()
    with ExitStack() as stack:
        file: Any = stack.enter_context(path.open("wb"))
        if suffix in {".gz", ".tgz"}:
            file = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))
        elif suffix == ".zst":
            file = stack.enter_context(pa.CompressedOutputStream(file, "zstd"))
        yield file


def chunks(path: Path, scan: Scan) -> Iterator[Chunk]:
    """The records of a file."""
    end, last = 0, None
    with RandomBytes(path).open() as opened:
        for _, offset, raw in scan(opened):
            if last is not None:
                yield last
            last = (raw, _between(opened, end, offset) + raw)
            end = offset + len(raw)
        if last is not None:
            yield last[0], last[1] + _between(opened, end, _size(opened))


def write_records(
    streams: Sequence[Iterator[Chunk]], picks: Picks, out: Path, *, heads: int, see: Callable[[int, bytes], None]
) -> None:
    """Write the picked records of several files.

    heads: 1 when the first record of each file names the columns; it is written once. see: is shown part and record.
    """
    first = [[chunk for _, chunk in zip(range(heads), stream, strict=False)] for stream in streams]
    found = shown(merged(out, streams, picks), picks, see)
    write_ended(out, chain((chunk[1] for chunk in first[0]), (whole for _, whole in found)))


def write_ended(out: Path, records: Iterable[bytes]) -> None:
    """Write records; one without a line end, having been the last of its file, gets one when another follows."""
    ended = True
    with opened_to_write(out) as target:
        for record in records:
            target.write(record if ended else b"\n" + record)
            ended = record.endswith((b"\n", b"\r"))


def shown(records: Iterable[Chunk], picks: Picks, see: Callable[[int, bytes], None]) -> Iterator[Chunk]:
    """The picked records, each shown to `see` with its part before it is written."""
    for (part, _), (raw, whole) in zip(picks, records, strict=True):
        see(part, raw)
        yield raw, whole


def _between(file: IO[bytes], start: int, end: int) -> bytes:
    return os.pread(file.fileno(), end - start, start) if end > start else b""


def _size(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)
