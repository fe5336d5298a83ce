"""Pieces of a data set, each turned into rows of the manifest by itself: the work that processes share.

A piece is small (some megabytes, or one file), knows where it lies and how it is read, and gives the same rows wherever it is done.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, NamedTuple, TypeAlias, final

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.dataset import content_id
from untaint.data.readers import json_lines, webdataset
from untaint.data.readers._folders import file_below
from untaint.data.readers._lines import Parse
from untaint.data.readers._recipe import MAX_FILE
from untaint.data.readers.text_folder import text_below
from untaint.errors import BadInput
from untaint.provenance.leaves import claims, content_digest, leaf
from untaint.provenance.listing import Entry, file_digest, opened, whole
from untaint.provenance.manifest import SAMPLES
from untaint.provenance.reading import Reading, Sample
from untaint.provenance.sources import Sources
from untaint.provenance.upstream import Upstream, compared

How: TypeAlias = Literal["bytes", "text", "none"]
"""What of a file is a sample: its bytes, the text in it, or nothing."""
Cost: TypeAlias = Literal["none", "light", "heavy"]
"""light: nearly all of it is hashing, which lets other threads run."""
_LARGE = 1 << 18
"""Bytes of a file from which hashing outweighs opening it."""
_AT_ONCE = 4096
"""Rows of Parquet that are Python objects at a time."""


@final
class Remark(NamedTuple):
    """What a verification has to say of a file beside its samples.

    what: `damaged`, after: why it cannot be read to its end; or `columns`, before and after: names in its first line.
    """

    what: Literal["damaged", "columns"]
    name: str
    after: str
    before: str = ""


@final
@dataclass(frozen=True)
class Done:
    """rows: of `SAMPLES`.  leaves: their leaf hashes, one after another.  digests: of the files that it finishes; None = no file."""

    rows: pa.RecordBatch
    leaves: bytes
    digests: Sequence[bytes | None] = ()
    remarks: Sequence[Remark] = ()


@final
@dataclass(frozen=True)
class Known:
    """A file that need not be read. sha256: its digest.  rows: its samples as a file of so many records, None = they must be read."""

    sha256: bytes
    rows: "Callable[[int], Iterator[Task] | None]"


@final
@dataclass(frozen=True)
class Context:
    """What holds for every piece.

    root: folder that names are below.  transform: where no column says one.  lenient: data are compared with a seal, where a file that
    is damaged is a change to be told and no error.
    """

    root: Path
    sources: Sources
    transform: str | None = None
    lenient: bool = False


class Task(ABC):
    """One piece."""

    @abstractmethod
    def run(self) -> Done:
        """Its rows. Raises BadInput for a file that cannot be read, or is not the one that was listed."""

    @property
    def cost(self) -> Cost:
        """Where it is best run."""
        return "heavy"

    @property
    @abstractmethod
    def entries(self) -> Sequence[Entry]:
        """The files it reads from."""

    @property
    def finishes(self) -> Sequence[tuple[int, Entry]]:
        """The files whose last piece it is, and their numbers."""
        return ()


@final
class Rows:
    """Collects the rows of one file or of many."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rows: list[tuple[object, ...]] = []
        self._leaves: list[bytes] = []

    def add(self, place: tuple[int, int, int, int], name: str, sample: Sample, split: str | None) -> None:
        """One sample. place: file, number, offset and size.  name: of its file.  split: where its record says none."""
        known, rest, label, said, transform, part, url, time, upstream = sample
        source = self._context.sources.source_of(said, name, url) if said is None else said
        transform = self._context.transform if transform is None else transform
        part = split if part is None else part
        self._rows.append((*place, known, rest, label, source, transform, part, url, time, *(upstream or _NO_UPSTREAM)))
        self._leaves.append(leaf(content_digest(known, rest), claims(label, source, transform, part)))

    def done(self, digests: Sequence[bytes | None] = (), remarks: Sequence[Remark] = ()) -> Done:
        """All of them."""
        if not self._rows:
            return Done(_NO_ROWS, b"", digests, remarks)
        arrays = [_array(values, field.type) for values, field in zip(zip(*self._rows, strict=True), SAMPLES, strict=True)]
        return Done(pa.RecordBatch.from_arrays(arrays, schema=SAMPLES), b"".join(self._leaves), digests, remarks)


_NO_UPSTREAM = (None, None)
_NO_ROWS = pa.RecordBatch.from_pylist([], schema=SAMPLES)


def _array(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    """A column; text that UTF-8 cannot carry with escapes, as an audit's index has it."""
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array(
            [None if value is None else str(value).encode("utf-8", "backslashreplace").decode() for value in values], kind
        )


@final
class Item(NamedTuple):
    """A whole file. sample: what is claimed of it, its id left empty; None = it holds none.  known: its digest, where that is believed."""

    number: int
    entry: Entry
    how: How = "none"
    sample: Sample | None = None
    split: str | None = None
    known: bytes | None = None


@final
@dataclass(frozen=True)
class WholeFiles(Task):
    """Files of which each is one sample or none."""

    context: Context
    items: Sequence[Item]

    @property
    @override
    def entries(self) -> Sequence[Entry]:
        return [item.entry for item in self.items]

    @property
    @override
    def finishes(self) -> Sequence[tuple[int, Entry]]:
        return [(item.number, item.entry) for item in self.items]

    @property
    @override
    def cost(self) -> Cost:
        return "light" if sum(item.entry.size for item in self.items) > len(self.items) * _LARGE else "heavy"

    @override
    def run(self) -> Done:
        rows, digests = Rows(self.context), []
        for item in self.items:
            sha256, known = self._read(item)
            digests.append(sha256)
            if item.sample is not None:
                sample = item.sample._replace(id=known, upstream=self._upstream(item, sha256))
                rows.add((item.number, 0, 0, item.entry.size), item.entry.name, sample, item.split)
        return rows.done(digests)

    def _upstream(self, item: Item, sha256: bytes | None) -> Upstream | None:
        """What the file came with; of another digest than SHA-256 it is read once more."""
        claim = None if item.sample is None else item.sample.upstream
        if claim is None or sha256 is None:
            return claim
        return compared(claim, sha256, lambda: whole(f"{self.context.root}/{item.entry.name}", item.entry))

    def _read(self, item: Item) -> tuple[bytes | None, bytes]:
        """The file's digest, and the sample's."""
        entry, root = item.entry, self.context.root
        path = f"{root}/{entry.name}"
        if entry.kind != "file":
            linked = item.sample is not None
            return None, sample_id(root, entry.name, item.how) if linked else b""
        if item.how != "text" or entry.size > MAX_FILE:
            found = item.known or file_digest(path, entry)
            return found, found
        if item.known is not None:
            return item.known, sample_id(root, entry.name, "text") if item.sample is not None else b""
        content = whole(path, entry)
        found = hashlib.sha256(content).digest()
        return found, found if _is_utf8(content) else sample_id(root, entry.name, "text")


def sample_id(root: Path, name: str, how: How) -> bytes:
    """The id that an audit gives a file of a folder."""
    payload, _ = text_below(root, name) if how == "text" else file_below(root, name)
    return bytes.fromhex(content_id(payload))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@final
@dataclass(frozen=True)
class Finished(Task):
    """A file that was hashed on the way, after the pieces of it."""

    number: int
    entry: Entry
    sha256: bytes

    @property
    @override
    def entries(self) -> Sequence[Entry]:
        return [self.entry]

    @property
    @override
    def finishes(self) -> Sequence[tuple[int, Entry]]:
        return [(self.number, self.entry)]

    @property
    @override
    def cost(self) -> Cost:
        return "none"

    @override
    def run(self) -> Done:
        return Done(_NO_ROWS, b"", [self.sha256])


@final
@dataclass(frozen=True)
class Remarked(Task):
    """What is to be said of a file, among the pieces of it."""

    entry: Entry
    remarks: Sequence[Remark]

    @property
    @override
    def entries(self) -> Sequence[Entry]:
        return [self.entry]

    @property
    @override
    def cost(self) -> Cost:
        return "none"

    @override
    def run(self) -> Done:
        return Done(_NO_ROWS, b"", remarks=self.remarks)


@final
@dataclass(frozen=True)
class Where:
    """A file of records. split: of its name."""

    context: Context
    number: int
    entry: Entry
    reading: Reading
    split: str | None = None

    @property
    def name(self) -> str:
        """Its name below the root."""
        return self.entry.name


@dataclass(frozen=True)
class _OfFile(Task):
    """A piece of a file of records."""

    where: Where

    @property
    @override
    def entries(self) -> Sequence[Entry]:
        return [self.where.entry]


@final
@dataclass(frozen=True)
class JsonBlock(_OfFile):
    """Whole lines of JSON. line: number of the first.  offset: of its first byte."""

    line: int
    offset: int
    raw: bytes = field(repr=False)

    @override
    def run(self) -> Done:
        rows, where, offset = Rows(self.where.context), self.where, self.offset
        sample, number = where.reading.sample, where.number
        for line, raw in enumerate(_lines(self.raw), self.line):
            if not json_lines.is_blank(raw):
                rows.add((number, line, offset, len(raw)), where.name, sample(json_lines.parse(raw)), where.split)
            offset += len(raw)
        return rows.done()


def _lines(raw: bytes) -> Iterator[bytes]:
    """Lines with their ends; only a line feed is one."""
    start = 0
    while start < len(raw):
        end = raw.find(b"\n", start) + 1 or len(raw)
        yield raw[start:end]
        start = end


@final
@dataclass(frozen=True)
class Records(_OfFile):
    """Records that were cut already: number, offset and bytes of each."""

    records: Sequence[tuple[int, int, bytes]] = field(repr=False)
    parse: Parse = field(repr=False)

    @override
    def run(self) -> Done:
        rows, where = Rows(self.where.context), self.where
        for number, offset, raw in self.records:
            sample = where.reading.sample(self.parse(raw))
            rows.add((where.number, number, offset, len(raw)), where.name, sample, where.split)
        return rows.done()


Whole: TypeAlias = tuple[int, int, int, Mapping[str, bytes], Mapping[str, bytes]]
"""Number, offset, size, the member that carries the payload, and all members."""


@final
@dataclass(frozen=True)
class Members(_OfFile):
    """Samples of a tar file."""

    records: Sequence[Whole] = field(repr=False)

    @override
    def run(self) -> Done:
        rows, where = Rows(self.where.context), self.where
        for number, offset, size, carrier, members in self.records:
            payload = where.reading.sample(webdataset.record_of(carrier))
            sample = where.reading.sample(webdataset.record_of(members))._replace(id=payload.id)
            rows.add((where.number, number, offset, size), where.name, sample, where.split)
        return rows.done()


@final
@dataclass(frozen=True)
class Stated(_OfFile):
    """Samples that a reader of whole sets has indexed already. number: of the first."""

    number: int
    samples: Sequence[Sample] = field(repr=False)

    @property
    @override
    def cost(self) -> Cost:
        return "none"

    @override
    def run(self) -> Done:
        rows, where = Rows(self.where.context), self.where
        for number, sample in enumerate(self.samples, self.number):
            rows.add((where.number, number, -1, -1), where.name, sample, where.split)
        return rows.done()


@final
@dataclass(frozen=True)
class RowGroup(_OfFile):
    """A row group of a Parquet file. row: number of its first row."""

    group: int
    row: int

    @override
    def run(self) -> Done:
        rows, where = Rows(self.where.context), self.where
        try:
            with opened(where.context.root / where.name, where.entry) as raw:
                self._read(raw, rows)
        except Damaged as error:
            if not where.context.lenient:
                raise
            return rows.done((), [Remark("damaged", where.name, error.message)])
        return rows.done()

    def _read(self, raw: IO[bytes], rows: Rows) -> None:
        where, row = self.where, self.row
        with readable(where.name), pq.ParquetFile(raw) as file:
            for batch in file.iter_batches(_AT_ONCE, row_groups=[self.group]):
                for record in objects(batch, where.name):
                    rows.add((where.number, row, -1, -1), where.name, where.reading.sample(record), where.split)
                    row += 1


class Damaged(BadInput):
    """A file that cannot be read to its end by the format it is of."""


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Around what reads an open Parquet file. Raises Damaged where it is none."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system; a broken header is an OSError without
            raise
        said = " ".join(str(error).split())
        raise Damaged(f"{name} is not a readable Parquet file: {said}.", advice="It may be truncated: fetch it again.") from error


def objects(batch: pa.RecordBatch, name: str) -> Sequence[Mapping[str, object]]:
    """Rows as Python has them. Raises BadInput for a time that no calendar knows."""
    try:
        found: Sequence[Mapping[str, object]] = batch.to_pylist()
    except (OverflowError, ValueError) as error:
        message = f"{name} holds a value that cannot be read ({error}), such as a time after the year 9999."
        raise Damaged(message, advice="Mend that column or leave it out.") from error
    return found
