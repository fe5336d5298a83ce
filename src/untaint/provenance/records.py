"""Files of records, cut into pieces of work: JSON lines, CSV, Parquet, tar, and what only a reader of whole sets can read.

Plain JSON lines are read once: the same bytes are hashed as a file and cut into records, so nobody can show one thing to each.
"""

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias, final

import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers import webdataset
from untaint.data.readers._bytes import COMPRESSED, RandomBytes, unpack
from untaint.data.readers._lines import LONGEST, Parse, Scan
from untaint.data.readers._recipe import Recipe
from untaint.data.readers._shards import split_of
from untaint.errors import BadInput
from untaint.provenance.listing import Entry, opened
from untaint.provenance.pins import Pin
from untaint.provenance.reading import Reading, Sample
from untaint.provenance.tasks import (
    Context,
    Damaged,
    Finished,
    Item,
    JsonBlock,
    Members,
    Records,
    Remark,
    Remarked,
    RowGroup,
    Stated,
    Task,
    Where,
    Whole,
    WholeFiles,
    readable,
)

_BLOCK = 1 << 20
"""Bytes of one piece: some thousand records, and little to hold a few times over."""
_PIECE = 4096
"""Records of one piece at most."""


@dataclass(frozen=True)
class Cutter(ABC):
    """A file of records. pin: how it is read.  number: its place in the listing, set by the plan."""

    context: Context
    entry: Entry
    reading: Reading
    number: int = -1
    pin: Pin | None = None

    @abstractmethod
    def tasks(self) -> Iterator[Task]:
        """Its pieces in order; the last one says its digest."""

    @property
    def where(self) -> Where:
        """What its pieces have in common."""
        return Where(self.context, self.number, self.entry, self.reading, split_of(self.entry.name) or None)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.context.root / self.entry.name

    @property
    def remarks(self) -> Sequence[Remark]:
        """What is to be said of it beside its samples."""
        return ()

    def hashed(self) -> Task:
        """The file by itself."""
        return WholeFiles(self.context, [Item(self.number, self.entry)])

    def damaged(self, error: BadInput) -> Task:
        """The remark that it ends before its end. Raises the error where that is no finding: when data are sealed."""
        if not self.context.lenient:
            raise error
        return Remarked(self.entry, [Remark("damaged", self.entry.name, error.message)])


@final
@dataclass(frozen=True)
class PlainJson(Cutter):
    """JSON lines as they lie."""

    @override
    def tasks(self) -> Iterator[Task]:
        hasher, held, line, offset = hashlib.sha256(), b"", 1, 0
        with opened(self.path, self.entry) as file:
            while block := file.read(_BLOCK):
                hasher.update(block)
                held += block
                end = held.rfind(b"\n") + 1
                if end == 0 and len(held) >= LONGEST:
                    end = LONGEST
                if end:
                    yield JsonBlock(self.where, line, offset, held[:end])
                    line, offset, held = line + held.count(b"\n", 0, end), offset + end, held[end:]
        if held:
            yield JsonBlock(self.where, line, offset, held)
        yield Finished(self.number, self.entry, hasher.digest())


@final
@dataclass(frozen=True)
class Lines(Cutter):
    """Records that one scan has to find: CSV, JSON arrays, anything compressed."""

    scan: Scan | None = None
    parse: Parse | None = None
    renamed: Remark | None = None

    @override
    def tasks(self) -> Iterator[Task]:
        assert self.scan is not None and self.parse is not None  # noqa: S101, PT018 - `cutter_for` gives both
        if self.renamed is not None:
            yield Remarked(self.entry, self.remarks)
        try:
            with _scanned(self.path, self.entry) as file:
                yield from (Records(self.where, piece, self.parse) for piece in _pieces(self.scan(file)))
        except Damaged as error:
            yield self.damaged(error)
        yield self.hashed()

    @property
    @override
    def remarks(self) -> Sequence[Remark]:
        return () if self.renamed is None else (self.renamed,)


@final
@dataclass(frozen=True)
class Parquet(Cutter):
    """Row groups."""

    @override
    def tasks(self) -> Iterator[Task]:
        row = 0
        with opened(self.path, self.entry) as raw, readable(self.entry.name), pq.ParquetFile(raw) as file:
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        for group, size in enumerate(sizes):
            yield RowGroup(self.where, group, row)
            row += size
        yield self.hashed()


@final
@dataclass(frozen=True)
class Tar(Cutter):
    """Samples of a WebDataset shard."""

    @override
    def tasks(self) -> Iterator[Task]:
        with opened(self.path, self.entry):
            found = _whole_samples(self.path)
            try:
                yield from (Members(self.where, piece) for piece in _tar_pieces(found, self.reading.recipe))
            except Damaged as error:
                yield self.damaged(error)
        yield self.hashed()


@final
@dataclass(frozen=True)
class Loaded(Cutter):
    """A set that a reader indexes as a whole; its rows lie in memory meanwhile."""

    dataset: Dataset | None = None

    @override
    def tasks(self) -> Iterator[Task]:
        assert self.dataset is not None  # noqa: S101 - the plan gives it
        index = self.dataset.index
        for start in range(0, len(self.dataset), _PIECE):
            rows = index.slice(start, _PIECE).to_pylist()
            samples = [
                Sample(bytes.fromhex(row["id"]), None, row["label"], row["source"], collected_at=row["collected_at"])
                for row in rows
            ]
            yield Stated(self.where, start, samples)
        yield self.hashed()


@final
@dataclass(frozen=True)
class Unreadable(Cutter):
    """A file of records that was sealed and cannot be read any more."""

    why: BadInput | None = None

    @override
    def tasks(self) -> Iterator[Task]:
        assert self.why is not None  # noqa: S101 - the plan gives it
        yield self.damaged(self.why)
        yield self.hashed()


Raw: TypeAlias = tuple[int, int, bytes]


def _whole_samples(path: Path) -> Iterator[webdataset.Sample]:
    """Samples of a tar file up to where it breaks. Raises Damaged there."""
    try:
        yield from webdataset.samples(RandomBytes(path))
    except BadInput as error:
        raise Damaged(error.message, advice=error.advice) from error


@contextmanager
def _scanned(path: Path, entry: Entry) -> Iterator[IO[bytes]]:
    """A listed file for a scan; a compressed one is unpacked into a temporary file first."""
    with opened(path, entry) as raw:
        if path.suffix.lower() in COMPRESSED:
            with unpacked(path) as plain:
                yield plain
        else:
            yield io.BufferedReader(raw, 1 << 20)  # type: ignore[type-var]


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """A compressed file in plain, in a temporary file. Raises Damaged for one that is broken."""
    try:
        plain = unpack(path)
    except BadInput as error:
        raise Damaged(error.message, advice=error.advice) from error
    with plain:
        plain.seek(0)
        yield plain


def _pieces(found: Iterator[Raw]) -> Iterator[list[Raw]]:
    piece, size = list[Raw](), 0
    for record in found:
        piece.append(record)
        size += len(record[2])
        if size >= _BLOCK or len(piece) >= _PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _tar_pieces(found: Iterator[webdataset.Sample], recipe: Recipe) -> Iterator[list[Whole]]:
    """Members of a sample, with those that carry its payload apart."""
    piece, size = list[Whole](), 0
    for number, sample in enumerate(found):
        carrier = sample.carrier(recipe.roles.payload[0])
        place = sample.spans.get(carrier, (0, 0))
        piece.append((number, *place, {carrier: sample.members.get(carrier, b"")}, sample.members))
        size += sum(map(len, sample.members.values()))
        if size >= _BLOCK or len(piece) >= _PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
