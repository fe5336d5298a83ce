"""Files of records, cut into pieces of work: JSON lines, CSV, Parquet, tar, and what only a reader of whole sets can read.

Plain JSON lines are read once: the same bytes are hashed as a file and cut into records, so nobody can show one thing to each.
"""

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TypeAlias, final

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers import delimited, json_lines, webdataset
from untaint.data.readers._bytes import COMPRESSED, RandomBytes
from untaint.data.readers._chunks import class_names
from untaint.data.readers._json_array import is_array
from untaint.data.readers._lines import LONGEST, SAMPLE, Parse, Scan
from untaint.data.readers._recipe import Broken, Recipe
from untaint.data.readers._shards import split_of
from untaint.data.readers.base import Request
from untaint.errors import BadInput
from untaint.provenance.listing import Entry, opened
from untaint.provenance.reading import Reading, Sample, reading_of, roles_for
from untaint.provenance.tasks import (
    Context,
    Finished,
    Item,
    JsonBlock,
    Members,
    Records,
    RowGroup,
    Stated,
    Task,
    Where,
    Whole,
    WholeFiles,
)

_BLOCK = 1 << 20
"""Bytes of one piece: some thousand records, and little to hold a few times over."""
_PIECE = 4096
"""Records of one piece at most."""


@dataclass(frozen=True)
class Cutter(ABC):
    """A file of records. number: its place in the listing, set by the plan."""

    context: Context
    entry: Entry
    reading: Reading
    number: int = -1

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

    def hashed(self) -> Task:
        """The file by itself."""
        return WholeFiles(self.context, [Item(self.number, self.entry)])


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

    @override
    def tasks(self) -> Iterator[Task]:
        assert self.scan is not None and self.parse is not None  # noqa: S101, PT018 - `cutter_for` gives both
        with _scanned(self.path, self.entry) as file:
            yield from (Records(self.where, piece, self.parse) for piece in _pieces(self.scan(file)))
        yield self.hashed()


@final
@dataclass(frozen=True)
class Parquet(Cutter):
    """Row groups."""

    @override
    def tasks(self) -> Iterator[Task]:
        row = 0
        with _broken(self.entry.name), opened(self.path, self.entry) as raw, pq.ParquetFile(raw) as file:
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
            found = webdataset.samples(RandomBytes(self.path))
            yield from (Members(self.where, piece) for piece in _tar_pieces(found, self.reading.recipe))
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


Raw: TypeAlias = tuple[int, int, bytes]


def cutter_for(
    context: Context, entry: Entry, request: Request, *, records_root: Path | None = None, format_id: str | None = None
) -> Cutter | None:
    """How a file is cut, from its name, or as the format says; None where it is no file of records.

    records_root: folder that paths in the records are below, None = the file's own.  Raises BadInput where the user named a column that
    is not there.
    """
    path = context.root / entry.name
    root = records_root or path.parent
    kind = format_id or _format_of(entry.name.lower())
    if kind == "webdataset":
        return tar_cutter(context, entry, request)
    if kind == "jsonl":
        return _json(context, entry, request, root)
    if kind == "csv":
        layout = delimited.find_layout(path)
        reading = _line_reading(path, request, root, layout.records, layout.parse, layout.columns)
        return None if reading is None else Lines(context, entry, reading, scan=layout.records, parse=layout.parse)
    return parquet_cutter(context, entry, request, root) if kind == "parquet" else None


def _format_of(name: str) -> str | None:
    plain = name.removesuffix(next((end for end in COMPRESSED if name.endswith(end)), ""))
    if name.endswith(webdataset.SUFFIXES):
        return "webdataset"
    if plain.endswith(json_lines.SUFFIXES):
        return "jsonl"
    if plain.endswith((".csv", ".tsv")):
        return "csv"
    return "parquet" if name.endswith((".parquet", ".pq")) else None


def _json(context: Context, entry: Entry, request: Request, root: Path) -> Cutter | None:
    path = context.root / entry.name
    reading = _line_reading(path, request, root, json_lines.records, json_lines.parse, None)
    if reading is None:
        return None
    if path.suffix.lower() in COMPRESSED or is_array(path):
        return Lines(context, entry, reading, scan=json_lines.records, parse=json_lines.parse)
    return PlainJson(context, entry, reading)


def _line_reading(
    path: Path, request: Request, root: Path, scan: Scan, parse: Parse, columns: Sequence[str] | None
) -> Reading | None:
    """The reading of a file of records; None where none of the first ones can be read."""
    with RandomBytes(path).open() as file:
        found = [record for _, _, raw in islice(scan(file), SAMPLE) if not isinstance(record := parse(raw), Broken)]
    if not found:
        return None
    names = list(columns or dict.fromkeys(name for record in found for name in record))
    samples = {name: [record.get(name) for record in found] for name in names}
    roles, joined = roles_for(samples, str(path), request)
    return reading_of(Recipe(roles, root), names, joined=joined)


def parquet_cutter(context: Context, entry: Entry, request: Request, root: Path) -> Cutter | None:
    """How a Parquet file is cut; None for one without a row."""
    with _broken(entry.name), opened(context.root / entry.name, entry) as raw, pq.ParquetFile(raw) as file:
        head = next(iter(file.iter_batches(SAMPLE)), None)
        schema = file.schema_arrow
    if head is None or head.num_rows == 0:
        return None
    samples = {name: head.column(place).to_pylist() for place, name in enumerate(schema.names)}
    roles, joined = roles_for(samples, entry.name, request)
    recipe = Recipe(roles, root, class_names(schema))
    return Parquet(context, entry, reading_of(recipe, schema.names, joined=joined))


def tar_cutter(context: Context, entry: Entry, request: Request) -> Cutter | None:
    """How a tar file is cut; None where it is no WebDataset, so that it is covered as a file."""
    path = context.root / entry.name
    try:
        recipe = webdataset.recipe_of([RandomBytes(path)], request, path)
    except BadInput:
        if request.label or request.payload:
            raise
        return None
    first = webdataset.record_of(next(webdataset.samples(RandomBytes(path))).members)
    return Tar(context, entry, reading_of(recipe, list(first) if isinstance(first, Mapping) else []))


@contextmanager
def _scanned(path: Path, entry: Entry) -> Iterator[IO[bytes]]:
    """A listed file for a scan; a compressed one is unpacked into a temporary file first."""
    with opened(path, entry) as raw:
        if path.suffix.lower() in COMPRESSED:
            with RandomBytes(path).open() as unpacked:
                yield unpacked
        else:
            yield io.BufferedReader(raw, 1 << 20)  # type: ignore[type-var]


@contextmanager
def _broken(name: str) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        raise BadInput(
            f"{name} is not a readable Parquet file: {error}.", advice="It may be truncated: fetch it again."
        ) from error


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
