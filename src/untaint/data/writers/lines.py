"""Text files record by record, byte for byte: what CSV and JSON lines share."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, TypeAlias

import pyarrow as pa

from untaint.data.readers._bytes import RandomBytes
from untaint.data.readers._lines import Scan
from untaint.data.writers.base import Picks, changed
from untaint.data.writers.shards import merged

Chunk: TypeAlias = tuple[bytes, bytes]
"""The record itself, and the same with the blank lines that stand before it (and, at the end of the file, after it)."""


@contextmanager
def opened_to_write(path: Path) -> Iterator[Any]:
    """A file to write, compressed as its suffix says; gzip without time or name, so that reruns agree."""
    suffix = path.suffix.lower()
    with ExitStack() as stack:
        file: Any = stack.enter_context(path.open("wb"))
        if suffix == ".gz":
            file = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))
        elif suffix == ".zst":
            file = stack.enter_context(pa.CompressedOutputStream(file, "zstd"))
        yield file


def chunks(path: Path, scan: Scan, n_rows: int) -> Iterator[Chunk]:
    """The records of a file. Raises BadInput when it has more than were read; `merged` meets one that has fewer."""
    file, end, number = RandomBytes(path), 0, 0
    last: Chunk | None = None
    with file.open() as opened:
        for number, (_, offset, raw) in enumerate(scan(opened), start=1):
            if last is not None:
                yield last
            last = (raw, _between(file, end, offset) + raw)
            end = offset + len(raw)
        if number > n_rows:
            raise changed(path, f"{number} records instead of {n_rows}")
        if last is not None:
            yield last[0], last[1] + _between(file, end, _size(opened))


def write_records(streams: Sequence[Iterator[Chunk]], picks: Picks, out: Path, *, heads: int, see: Callable[[int, bytes], None]) -> None:
    """Write the picked records of several files.

    heads: 1 when the first record of each file names the columns; it is written once. see: is shown part and record.
    """
    first = [[chunk for _, chunk in zip(range(heads), stream, strict=False)] for stream in streams]
    with opened_to_write(out) as target:
        for text in _ended(chain((chunk[1] for chunk in first[0]), _shown(merged(out, streams, picks), picks, see))):
            target.write(text)


def _shown(records: Iterable[Chunk], picks: Picks, see: Callable[[int, bytes], None]) -> Iterator[bytes]:
    for (part, _), (raw, whole) in zip(picks, records, strict=True):
        see(part, raw)
        yield whole


def _ended(records: Iterable[bytes]) -> Iterator[bytes]:
    """A record without a line end, having been the last of its file, gets one when another follows."""
    ended = True
    for record in records:
        yield record if ended else b"\n" + record
        ended = record.endswith((b"\n", b"\r"))


def _between(file: RandomBytes, start: int, end: int) -> bytes:
    return file.read([(start, end - start)])[0] if end > start else b""


def _size(file: IO[bytes]) -> int:
    return file.seek(0, 2)
