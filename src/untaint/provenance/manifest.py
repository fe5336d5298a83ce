"""The manifest on disk: a row per sample in `manifest/part-00000.parquet` …, a row per file in `files.parquet`; both are streams.

A sample's row is joined with an audit by `id`, which is the same SHA-256 of the payload (for an image file that of its bytes), or by
place: an audit's `path` is the file's name, for records with `:number` (lines) or `#number` (rows of Parquet) behind it.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from untaint.errors import BadInput
from untaint.provenance.listing import Entry

HASH = pa.binary(32)
SAMPLES = pa.schema(
    [
        ("file", pa.int32()),  # row of files.parquet
        ("number", pa.int64()),  # line or row in the file, as an audit's path says it; 0 = the file is the sample
        ("offset", pa.int64()),  # first byte in the file (of a compressed one: unpacked); -1 = the format has none
        ("size", pa.int64()),  # bytes from there; -1 = as above
        ("id", HASH),  # SHA-256 of the payload, the id of an audit
        ("rest", HASH),  # SHA-256 of the record's other fields as JSON, null = it has none
        ("label", pa.string()),
        ("source", pa.string()),
        ("transform", pa.string()),
        ("split", pa.string()),
        ("url", pa.string()),
        ("collected_at", pa.timestamp("us", "UTC")),
        ("upstream", pa.binary()),  # digest that the sample came with; its length says which
        (
            "fits",
            pa.bool_(),
        ),  # whether its bytes have that digest, null = not compared; false without a digest = what stood there is none
    ]
)
FILES = pa.schema(
    [
        ("name", pa.string()),  # below the root; bytes that are no UTF-8 as backslash escapes
        ("raw", pa.binary()),  # the name's bytes where they are no UTF-8, else null
        ("kind", pa.string()),  # file, folder, link, other
        ("size", pa.int64()),
        ("mode", pa.int32()),  # permission bits
        ("target", pa.string()),  # of a link
        ("sha256", HASH),  # null for what is no file
        ("mtime_ns", pa.int64()),
        ("ctime_ns", pa.int64()),
        ("inode", pa.uint64()),
        ("first_row", pa.int64()),  # of its samples in the manifest
        ("rows", pa.int64()),  # how many they are
    ]
)
_WORDS = ["label", "source", "transform", "split"]
_PLACES = ["file", "number", "offset", "size"]
_GROUP = 65_536
"""Rows of a row group: what is decoded to look at one of them."""
_PART = 1 << 20
"""Rows of a part, at least: work that a stopped sealing does not lose."""
_PART_BYTES = 8 << 30
"""Bytes of samples of a part, at least: of large files a part is finished sooner."""


@final
class Part(NamedTuple):
    """One file of the manifest."""

    rows: int
    sha256: str


def part_name(number: int) -> str:
    """Name of a part."""
    return f"part-{number:05d}.parquet"


@final
class PartWriter:
    """Writes the manifest part by part. parts: that are there already."""

    def __init__(self, folder: Path, parts: Sequence[Part] = ()) -> None:
        self._folder = folder
        self.parts = list(parts)
        self._writer: Any = None
        self._held: list[pa.RecordBatch] = []
        self._rows = self._bytes = self._waiting = 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._rows += batch.num_rows
        self._waiting += batch.num_rows
        self._bytes += int(np.maximum(batch.column("size").to_numpy(), 0).sum())
        self._held.append(batch)
        if self._waiting >= _GROUP:
            self._write()

    @property
    def due(self) -> bool:
        """Whether the part that is open has enough in it."""
        return self._rows >= _PART or self._bytes >= _PART_BYTES

    def cut(self) -> None:
        """Finish the part that is open, if any row is in it."""
        if self._rows == 0:
            return
        self._write()
        self._writer.close()
        path = self._folder / part_name(len(self.parts))
        self.parts.append(Part(self._rows, sha256_of(path)))
        self._writer, self._rows, self._bytes = None, 0, 0

    def _write(self) -> None:
        if self._writer is None:
            self._writer = _writer(self._folder / part_name(len(self.parts)), SAMPLES, _WORDS, _PLACES)
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held).combine_chunks(), row_group_size=_GROUP)
        self._held, self._waiting = [], 0


@final
class FileWriter:
    """Writes the table of files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = _writer(path, FILES, ["kind"], ["size", "mtime_ns", "ctime_ns", "first_row", "rows"])
        self._held: list[tuple[object, ...]] = []

    def add(self, row: tuple[object, ...]) -> None:
        """One file, in the order of `FILES`."""
        self._held.append(row)
        if len(self._held) >= _GROUP // 4:
            self._write()

    def put(self, batch: pa.RecordBatch) -> None:
        """Many files at once."""
        self._write()
        self._writer.write_batch(batch)

    def close(self) -> str:
        """Finish; the table's SHA-256."""
        self._write()
        self._writer.close()
        return sha256_of(self.path)

    def _write(self) -> None:
        if self._held:
            columns = zip(*self._held, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, FILES, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=FILES))
            self._held = []


def file_row(entry: Entry, sha256: bytes | None, first: int, count: int) -> tuple[object, ...]:
    """A row of `FILES`. first, count: of its samples."""
    name = entry.name.encode("utf-8", "backslashreplace").decode()
    raw = None if name == entry.name else os.fsencode(entry.name)
    target = None if entry.target is None else entry.target.encode("utf-8", "backslashreplace").decode()
    times = (entry.mtime_ns, entry.ctime_ns, entry.inode)
    row = (name, raw, entry.kind, entry.size, entry.mode, target, sha256, *times, first, count)
    assert len(row) == len(FILES)  # noqa: S101 - one value a column
    return row


def _writer(path: Path, schema: pa.Schema, words: list[str], numbers: list[str]) -> Any:
    """Digests do not compress; numbers of neighbouring rows are close to each other, and words repeat."""
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=words,
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        write_statistics=["file"] if "file" in schema.names else False,
        store_schema=False,
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@final
@dataclass(frozen=True)
class Manifest:
    """The parts of a manifest, read."""

    folder: Path
    parts: Sequence[Part]

    @property
    def starts(self) -> np.ndarray:
        """(p+1,) first row of every part, then the number of rows."""
        return np.cumsum([0, *(part.rows for part in self.parts)])

    def check(self) -> None:
        """Raises BadInput for a part that is not the one that was sealed."""
        for number, part in enumerate(self.parts):
            path = self.folder / part_name(number)
            with _readable(path):
                if sha256_of(path) != part.sha256:
                    raise BadInput(f"{path} is not the manifest that was sealed.", advice="Restore the seal, or seal again.")

    def batches(self, columns: Sequence[str] | None = None, *, start: int = 0) -> Iterator[pa.RecordBatch]:
        """All rows in order, from the part on that holds row `start`; the first batch begins with that row."""
        starts = self.starts
        first = max(0, int(np.searchsorted(starts, start, side="right")) - 1)
        skip = start - int(starts[first]) if self.parts else 0
        for number in range(first, len(self.parts)):
            path = self.folder / part_name(number)
            with _readable(path), streamed(path) as file:
                for batch in file.iter_batches(_GROUP, columns=None if columns is None else list(columns)):
                    if skip < batch.num_rows:
                        yield _whole(batch.slice(skip), columns)
                    skip = max(0, skip - batch.num_rows)

    def take(self, rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
        """Some rows, in ascending order. Decodes the row groups they lie in."""
        starts, found = self.starts, []
        parts = np.searchsorted(starts, rows, side="right") - 1
        for number in np.unique(parts):
            path = self.folder / part_name(int(number))
            with _readable(path), pq.ParquetFile(path) as file:
                found += list(_taken(file, rows[parts == number] - starts[number], columns))
        schema = SAMPLES if columns is None else pa.schema([SAMPLES.field(name) for name in columns])
        return _whole(pa.concat_tables(found), columns) if found else schema.empty_table()


def _whole(found: Any, columns: Sequence[str] | None) -> Any:
    """With the columns that manifests of earlier releases lack, in which nothing is known."""
    for field in SAMPLES:
        if field.name not in found.schema.names and (columns is None or field.name in columns):
            found = found.append_column(field, pa.nulls(found.num_rows, field.type))
    return found


def streamed(path: Path) -> Any:
    """A Parquet file to be read piece by piece; otherwise all of it is fetched before its first batch."""
    return pq.ParquetFile(path, pre_buffer=False)


def _taken(file: Any, rows: np.ndarray, columns: Sequence[str] | None) -> Iterator[pa.Table]:
    ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)])
    groups = np.searchsorted(ends, rows, side="right")
    for group in np.unique(groups):
        first = 0 if group == 0 else int(ends[group - 1])
        table = file.read_row_group(int(group), columns=None if columns is None else list(columns), use_threads=False)
        yield table.take(pa.array(rows[groups == group] - first))


@final
class _readable:  # noqa: N801 - used as a function in `with`
    """Broken or absent Parquet is a BadInput wherever it shows."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, pa.ArrowException | OSError):
            message = f"{self._path} cannot be read: {error}."
            raise BadInput(message, advice="The seal is not whole: restore it, or seal again.") from error


def read_files(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The table of files. Raises BadInput when it is absent or broken."""
    with _readable(path):
        return pq.read_table(path, columns=None if columns is None else list(columns), use_threads=False, partitioning=None)
