"""How each file of a data set is cut into samples: by the reader that an audit would take, else file by file, else as a whole.

What no reader knows (weights, code, a README) is one sample per file, or in a set of a known format none, and is covered as a file.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, final

from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.load import readers
from untaint.data.readers import json_lines, webdataset
from untaint.data.readers._bytes import COMPRESSED
from untaint.data.readers._recipe import Recipe
from untaint.data.readers._shards import split_of
from untaint.data.readers.base import Reader, Request
from untaint.data.roles import Roles
from untaint.errors import BadInput
from untaint.provenance import img2dataset
from untaint.provenance.cutting import Asks, cutter_for, format_of
from untaint.provenance.folder_plan import IMAGES, PICTURES, TEXTS, folder_plan
from untaint.provenance.listing import Entry, listed
from untaint.provenance.pins import Pin, Pins, WholePin
from untaint.provenance.plan_base import Plan
from untaint.provenance.reading import Reading, Sample
from untaint.provenance.records import Cutter, Loaded, Unreadable
from untaint.provenance.tasks import Context, Finished, Item, Known, Remark, Task, WholeFiles

Trusted: TypeAlias = Callable[[Entry], Known | None]

FILES, MIXED = "files", "mixed"
"""Formats beside the readers': each file is a sample; each file by itself, cut into records where it is of such a format."""
_OWN = (FILES, MIXED, img2dataset.FORMAT)
_RECORDS = {
    "jsonl": json_lines.SUFFIXES,
    "csv": (".csv", ".tsv"),
    "parquet": (".parquet", ".pq"),
    "webdataset": webdataset.SUFFIXES,
}
"""Formats that are cut into records, file by file, and how their files end when they are not compressed."""
_FILES, _BYTES = 1024, 64 << 20
"""Files, or bytes of them, of one piece of work."""


@final
@dataclass(frozen=True)
class Separate(Plan):
    """Each file by itself: cut into records where it is of such a format. whole: whether any other file is a sample."""

    format: str
    note: str
    cutter: Callable[[Entry], Cutter | None]
    whole: bool
    pins: Pins = field(default_factory=Pins)
    now: str = ""
    remarks: Sequence[Remark] = ()

    @override
    def item(self, number: int, entry: Entry) -> Item | Cutter:
        if entry.kind != "file":
            return Item(number, entry)
        cutter = self.cutter(entry) if entry.size else None
        if cutter is not None:
            return replace(cutter, number=number)
        return Item(number, entry, "bytes", Sample(b""), split_of(entry.name) or None) if self.whole else Item(number, entry)


def plan_for(path: Path, context: Context, request: Request, format_id: str | None, pins: Pins | None = None) -> Plan:
    """The plan for a file or a folder. pins: as it was sealed, None = it is found.

    Raises BadInput for a format that is not known, or a column that is not there.
    """
    known = readers()
    if format_id is not None and format_id not in {*known, *_OWN}:
        raise BadInput(f"unknown format {format_id!r}.", advice=f"Known: {', '.join(_OWN)}, {', '.join(known)}.")
    asked = request.label or request.payload
    if format_id == img2dataset.FORMAT or (format_id is None and not asked and img2dataset.wrote(path)):
        return img2dataset.img2dataset_plan(path, context, request, pins.every if pins else None)
    claims = [format_id] if format_id else _claims(path, known)
    claimed = claims[0] if len(claims) == 1 else None
    if claimed in {IMAGES, TEXTS} and path.is_dir():
        return folder_plan(path, claimed, request, pins.folder if pins else None)
    if claimed in _RECORDS:
        return _records(path, context, request, claimed, pins.every if pins else None)
    if claimed in known and (plan := _loaded(path, context, request, known[claimed], pins.whole if pins else None)) is not None:
        return plan
    if claimed == FILES:
        return Separate(FILES, "each file is a sample", lambda _entry: None, whole=True)
    return _mixed(context, request, pins.files if pins else {})


def _claims(path: Path, known: Mapping[str, Reader]) -> list[str]:
    """Readers that claim a path. What a look at the names rules out is not asked: some look at every file of a folder."""
    out = set[str]()
    if path.is_dir():
        pictures = tars = False
        for _, _, files in os.walk(path):
            for name in map(str.lower, files):
                pictures = pictures or (name.endswith(PICTURES) and name[0] != ".")
                tars = tars or name.endswith(webdataset.SUFFIXES)
        out = {TEXTS if pictures else IMAGES} | (set() if tars else {"webdataset"})
    return [name for name, reader in known.items() if name not in out and reader.claims(path)]


def _records(path: Path, context: Context, request: Request, format_id: str, pin: Pin | None) -> Separate:
    """One file of records, or a folder of shards, read alike: as the first of them, or as `pin` says."""
    root = path if path.is_dir() else None
    asks = Asks(request, root, format_id, pin)
    readings: dict[str, Reading] = {}

    def cutter(entry: Entry) -> Cutter | None:
        if root is not None and not _is_called(entry.name, format_id):
            return None
        found = _cutter(context, entry, asks)
        if found is None or isinstance(found, Unreadable):
            return found
        return replace(found, reading=readings.setdefault("first", found.reading))

    held = (entry for entry in listed(path) if entry.kind == "file")
    first = next((found for entry in held if (found := cutter(entry)) and not isinstance(found, Unreadable)), None)
    pin = pin or (first.pin if first is not None else None)
    note = "no record in it" if pin is None else pin.reading(None).note
    now = "" if first is None or asks.pin is None else _now(context, first.entry, replace(asks, pin=None))
    return Separate(format_id, note, cutter, whole=False, pins=Pins(pin), now=now)


def _is_called(name: str, format_id: str) -> bool:
    lower = name.lower()
    plain = lower.removesuffix(next((end for end in COMPRESSED if lower.endswith(end)), ""))
    return lower.endswith(_RECORDS[format_id]) or plain.endswith(_RECORDS[format_id])


def _cutter(context: Context, entry: Entry, asks: Asks) -> Cutter | None:
    """How a file is cut; one that cannot be read any more is a finding where data are verified."""
    try:
        return cutter_for(context, entry, asks)
    except BadInput as error:
        if not context.lenient:
            raise
        return Unreadable(context, entry, Reading(Recipe(_NO_ROLES)), why=error)


def _now(context: Context, entry: Entry, asks: Asks) -> str:
    """How a file would be read by what its first records show."""
    try:
        found = cutter_for(context, entry, asks)
    except BadInput as error:
        return f"not at all: {error.message}"
    return "no record in it" if found is None else found.reading.note


def _mixed(context: Context, request: Request, files: Mapping[str, Pin | None]) -> Separate:
    """files: pins by name; a file that has none is read as it looks."""
    pins = Pins()

    def cutter(entry: Entry) -> Cutter | None:
        if format_of(entry.name) is None or (entry.name in files and files[entry.name] is None):
            return None
        found = _cutter(context, entry, Asks(request, pin=files.get(entry.name)))
        if isinstance(found, Unreadable) and entry.name not in files:
            return None  # added, and of no format that its name says: a file like any other
        pins.files[entry.name] = None if found is None else found.pin
        return found

    return Separate(MIXED, "each file by itself", cutter, whole=True, pins=pins)


def _loaded(path: Path, context: Context, request: Request, reader: Reader, pin: WholePin | None) -> Separate | None:
    """Rows of a set that only its reader can cut, told of its first file; None where it cannot, which leaves files as samples."""
    first = next((entry.name for entry in listed(path) if entry.kind == "file" and entry.size), None)
    try:
        dataset = _read(path, request, reader, pin)
    except BadInput as error:
        if pin is not None:
            why, note = error, pin.note
            return Separate(
                reader.id, note, lambda entry: _unreadable(context, entry, why, first), whole=False, pins=Pins(whole=pin)
            )
        if request.label or request.payload:
            raise
        return None
    columns, said = dataset.columns, "; ".join(dataset.notes)
    pin = pin or WholePin(said, columns.label, columns.source, columns.time, columns.payload if columns.label else None)
    reading = Reading(Recipe(replace(_NO_ROLES, note=pin.note)))

    def cutter(entry: Entry) -> Cutter | None:
        return Loaded(context, entry, reading, dataset=dataset) if entry.name == first else None

    return Separate(reader.id, reading.note, cutter, whole=False, pins=Pins(whole=pin))


def _read(path: Path, request: Request, reader: Reader, pin: WholePin | None) -> Dataset:
    """With the columns of a pin where they are still there."""
    if pin is not None:
        with suppress(BadInput):
            return reader.read(path, Pins(whole=pin).again(request))
    return reader.read(path, request)


def _unreadable(context: Context, entry: Entry, why: BadInput, first: str | None) -> Cutter | None:
    return Unreadable(context, entry, Reading(Recipe(_NO_ROLES)), why=why) if entry.name == first else None


_NO_ROLES = Roles("table", "other", (), None, None, "")


def tasks_for(plan: Plan, path: Path, context: Context, trusted: Trusted) -> Iterator[Task]:
    """Every piece of a data set, in the order of its listing. trusted: what is known of a file that need not be read."""
    held, size = list[Item](), 0
    for number, entry in enumerate(listed(path)):
        found = plan.item(number, entry)
        if isinstance(found, Cutter):
            if held:
                yield WholeFiles(context, held)
                held, size = [], 0
            yield from _cut(found, trusted(entry))
            continue
        held.append(_told(found, trusted) if entry.kind == "file" else found)
        size += entry.size
        if len(held) >= _FILES or size >= _BYTES:
            yield WholeFiles(context, held)
            held, size = [], 0
    if held:
        yield WholeFiles(context, held)


def _cut(cutter: Cutter, known: Known | None) -> Iterator[Task]:
    """The pieces of a file of records, or what is known of them."""
    rows = None if known is None else known.rows(cutter.number)
    if known is None or rows is None:
        yield from cutter.tasks()
        return
    yield from rows
    yield Finished(cutter.number, cutter.entry, known.sha256)


def _told(item: Item, trusted: Trusted) -> Item:
    """A whole file with its digest, where that is believed; a text is read, since its id need not be its file's digest."""
    known = trusted(item.entry)
    return item if known is None or item.how == "text" else item._replace(known=known.sha256)
