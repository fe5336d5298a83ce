"""The quick tier: a file whose size, times and inode are as they were sealed is believed unread, with its samples.

What it cannot see: whoever is root, or sets the clock, or writes to the disk below the file system, can change bytes and leave all of
these as they were. A copy of the data has other inodes and times, and is read in full.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
from typing_extensions import override

from untaint.provenance.listing import Entry
from untaint.provenance.sealed import Seal
from untaint.provenance.tasks import Cost, Done, Known, Task

_RUN = 65_536
"""Rows of one piece."""


@final
class Unread:
    """Asked for entries in the order of a listing: what is known of each, None = it must be read. Counts both."""

    def __init__(self, seal: Seal, *, records: bool) -> None:
        self._seal, self._records = seal, records
        self._rows = _rows(seal)
        self._next = next(self._rows, None)
        self.believed = self.read = 0

    def __call__(self, entry: Entry) -> Known | None:
        """records: whether files of records are believed too; they are not where they are read in another way now."""
        key = _key(entry.name, entry.kind)
        while self._next is not None and self._next[0] < key:
            self._next = next(self._rows, None)
        if self._next is None or self._next[0] != key or self._next[1] != entry.stamp:
            self.read += 1
            return None
        self.believed += 1
        _, _, sha256, first, count = self._next
        return Known(sha256, lambda number: _kept(self._seal, entry, number, first, count) if self._records else None)


@final
@dataclass(frozen=True)
class Kept(Task):
    """Rows of a file that is believed, as they were sealed. number: of the file now.  finished: whether they are its last."""

    seal: Seal
    entry: Entry
    number: int
    start: int
    stop: int

    @property
    @override
    def cost(self) -> Cost:
        return "none"

    @property
    @override
    def entries(self) -> list[Entry]:
        return [self.entry]

    @override
    def run(self) -> Done:
        table = self.seal.manifest.take(np.arange(self.start, self.stop))
        numbers = pa.array(np.full(self.stop - self.start, self.number), pa.int32())
        rows = table.set_column(0, table.schema.field(0), numbers).combine_chunks().to_batches()
        return Done(rows[0], self.seal.tiles.leaves(self.start, self.stop))


def _kept(seal: Seal, entry: Entry, number: int, first: int, count: int) -> Iterator[Task]:
    for start in range(first, first + count, _RUN):
        yield Kept(seal, entry, number, start, min(start + _RUN, first + count))


def _rows(seal: Seal) -> Iterator[tuple[str, tuple[int, int, int, int], bytes, int, int]]:
    """Key, stamp, digest, first row and rows of every regular file that was sealed, in order."""
    columns = ["name", "raw", "kind", "size", "mtime_ns", "ctime_ns", "inode", "sha256", "first_row", "rows"]
    table: Any = seal.files(columns)
    for batch in table.to_batches(max_chunksize=_RUN):
        for row in batch.to_pylist():
            if row["kind"] == "file":
                name = row["name"] if row["raw"] is None else os.fsdecode(row["raw"])
                stamp = (row["size"], row["mtime_ns"], row["ctime_ns"], row["inode"])
                yield _key(name, "file"), stamp, row["sha256"], row["first_row"], row["rows"]


def _key(name: str, kind: str) -> str:
    return f"{name}/" if kind == "folder" else name
