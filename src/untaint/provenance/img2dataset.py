"""The plan of a folder that `img2dataset` wrote: pictures in tar files, in folders or in Parquet, and what it noted of each beside.

Every shard has a table `00000.parquet` with the URL, the key, the status and, where it was asked for, a digest of each picture as it was
downloaded. So samples get their URL and the digest they came with, without labels, and the tables themselves are no samples.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final, final

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.readers._recipe import as_name
from untaint.data.readers.base import Request
from untaint.data.roles import IMAGE_SUFFIXES, Roles
from untaint.errors import BadInput
from untaint.provenance.cutting import Asks, cutter_for
from untaint.provenance.listing import Entry
from untaint.provenance.pins import Pin, Pins
from untaint.provenance.plan_base import Plan
from untaint.provenance.reading import Sample, rest_digest
from untaint.provenance.records import Cutter, Unreadable
from untaint.provenance.tasks import Context, Item, Remark, objects
from untaint.provenance.upstream import NAMES, upstream_of

FORMAT: Final = "img2dataset"
_TABLE = re.compile(r"(\d{5,})\.parquet")
_STATS = re.compile(r"\d{5,}_stats\.json")
_SHARD = re.compile(r"\d{5,}\.tar")
_PICTURE = re.compile(r"(\d{5,})/(\d{5,})\.\w+")
_NOTED = frozenset({"url", "key", "status"})
_BESIDE = "image"
"""What a picture in a tar file is called."""
_ENCODED = ("jpg", "png", "webp")
"""Formats that pictures are written in, and what the column of a table of pictures is called."""


def wrote(path: Path) -> bool:
    """Whether a folder looks as if img2dataset wrote it."""
    if not path.is_dir():
        return False
    names = [entry.name for entry in path.iterdir()]
    tables = sorted(name for name in names if _TABLE.fullmatch(name))
    return bool(tables) and any(map(_STATS.fullmatch, names)) and set(_columns(path / tables[0])) >= _NOTED


def img2dataset_plan(root: Path, context: Context, request: Request, pin: Pin | None) -> Plan:
    """The plan for a folder that img2dataset wrote. pin: as it was sealed, None = it is found. Raises BadInput where it did not."""
    tables = sorted(entry.name for entry in root.iterdir() if _TABLE.fullmatch(entry.name)) if root.is_dir() else []
    columns = _columns(root / tables[0]) if tables else ()
    if not tables and not context.lenient:
        raise BadInput(f"{root} holds no table such as 00000.parquet.", advice="Leave --format out.")
    column = next((name for name in _ENCODED if name in columns), _BESIDE)
    note = f"pictures that img2dataset fetched, {'files' if column == _BESIDE else f'column {column!r}'}; url: column 'url'"
    pin = pin or Pin(Roles("image", "image", (column,), None, None, note), url="url")
    return _Fetched(root, context, request, pin, pin.roles.note, pins=Pins(pin))


@final
@dataclass(frozen=True)
class _Fetched(Plan):
    """pin: its payload is the column of the tables that holds pictures, or `_BESIDE`."""

    root: Path
    context: Context
    request: Request
    pin: Pin
    note: str
    format: str = FORMAT
    pins: Pins = field(default_factory=Pins)
    now: str = ""
    remarks: Sequence[Remark] = ()
    _noted: dict[str, Mapping[str, Mapping[str, object]]] = field(default_factory=dict, repr=False)

    @override
    def item(self, number: int, entry: Entry) -> Item | Cutter:
        if entry.kind != "file" or not entry.size:
            return Item(number, entry)
        if _SHARD.fullmatch(entry.name):
            return self._cut(number, entry, "webdataset")
        if self.pin.roles.payload != (_BESIDE,) and _TABLE.fullmatch(entry.name):
            return self._cut(number, entry, "parquet")
        found = _PICTURE.fullmatch(entry.name)
        if found is None or PurePosixPath(entry.name).suffix.lower() not in IMAGE_SUFFIXES:
            return Item(number, entry)
        row = self._table(found[1]).get(found[2], {})
        url = as_name(row.get("url"))
        return Item(number, entry, "bytes", Sample(b"", rest_digest(row), url=url, upstream=upstream_of(row, NAMES & row.keys())))

    def _cut(self, number: int, entry: Entry, kind: str) -> Item | Cutter:
        try:
            found = cutter_for(self.context, entry, Asks(self.request, self.root, kind, self.pin))
        except BadInput as error:
            if not self.context.lenient:
                raise
            found = Unreadable(self.context, entry, self.pin.reading(None), why=error)
        return Item(number, entry) if found is None else replace(found, number=number)

    def _table(self, shard: str) -> Mapping[str, Mapping[str, object]]:
        """What is noted of a shard's pictures, by key; of one shard at a time, as they are listed."""
        if shard not in self._noted:
            self._noted.clear()
            try:
                self._noted[shard] = _rows(self.root / f"{shard}.parquet")
            except BadInput:
                if not self.context.lenient:
                    raise
                self._noted[shard] = {}  # the table itself is told as changed
        return self._noted[shard]


def _columns(path: Path) -> Sequence[str]:
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError):
        return ()


def _rows(path: Path) -> Mapping[str, Mapping[str, object]]:
    try:
        with pq.ParquetFile(path) as file:
            rows = [row for batch in file.iter_batches() for row in objects(batch, path.name)]
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read: {error}.", advice="img2dataset writes it; fetch it again.") from error
    return {key: row for row in rows if isinstance(key := row.get("key"), str)}
