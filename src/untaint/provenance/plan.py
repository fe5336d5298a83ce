"""How each file of a data set is cut into samples: by the reader that an audit would take, else file by file, else as a whole.

What no reader knows (weights, code, a README) is one sample per file, or in a set of a known format none, and is covered as a file.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, final

from typing_extensions import override

from untaint.data.load import readers
from untaint.data.readers import json_lines, webdataset
from untaint.data.readers._bytes import COMPRESSED
from untaint.data.readers._folders import METADATA, Metadata, metadata_of
from untaint.data.readers._recipe import Recipe, as_name
from untaint.data.readers._shards import split_of
from untaint.data.readers.base import Reader, Request
from untaint.data.roles import IMAGE_SUFFIXES, Roles
from untaint.errors import BadInput
from untaint.provenance.listing import Entry, listed
from untaint.provenance.reading import SPLITS, TRANSFORMS, URLS, Reading, Sample, moment_of, rest_digest
from untaint.provenance.records import Cutter, Loaded, cutter_for
from untaint.provenance.tasks import Context, Finished, How, Item, Known, Task, WholeFiles

Trusted: TypeAlias = Callable[[Entry], Known | None]

FILES, MIXED = "files", "mixed"
"""Formats beside the readers': each file is a sample; each file by itself, cut into records where it is of such a format."""
IMAGES, TEXTS = "image-folder", "text-folder"
_PICTURES = tuple(sorted(IMAGE_SUFFIXES))
_RECORDS = {
    "jsonl": json_lines.SUFFIXES,
    "csv": (".csv", ".tsv"),
    "parquet": (".parquet", ".pq"),
    "webdataset": webdataset.SUFFIXES,
}
"""Formats that are cut into records, file by file, and how their files end when they are not compressed."""
_FILES, _BYTES = 1024, 64 << 20
"""Files, or bytes of them, of one piece of work."""


class Plan(ABC):
    """The reading of one data set. format: a reader's id, `files`, `mixed`.  note: how it is read; both are sealed, so another is seen."""

    format: str
    note: str

    @abstractmethod
    def item(self, number: int, entry: Entry) -> Item | Cutter:
        """What one entry of the listing is."""


@final
@dataclass(frozen=True)
class Folder(Plan):
    """A file per sample, as `image-folder` and `text-folder` read them. splits: whether the first folders are."""

    format: str
    note: str
    how: How
    suffixes: tuple[str, ...]
    metadata: Mapping[str, Sample]
    labelled: bool = False
    splits: bool = False

    @override
    def item(self, number: int, entry: Entry) -> Item:
        name = entry.name
        said = self.metadata.get(name)
        hidden = name.startswith(".") or "/." in name
        if entry.kind not in {"file", "link"} or (said is None and (hidden or not name.lower().endswith(self.suffixes))):
            return Item(number, entry)
        first, _, inner = name.partition("/")
        split = split_of(first + "." if self.splits else name) or None
        sample = said or Sample(b"")
        if not self.labelled:
            label, below, _ = (inner if self.splits else name).partition("/")
            sample = Sample(b"", sample.rest, label if below else None, *sample[3:])
        return Item(number, entry, self.how, sample, split)


@final
@dataclass(frozen=True)
class Separate(Plan):
    """Each file by itself: cut into records where it is of such a format. whole: whether any other file is a sample."""

    format: str
    note: str
    cutter: Callable[[Entry], Cutter | None]
    whole: bool

    @override
    def item(self, number: int, entry: Entry) -> Item | Cutter:
        if entry.kind != "file":
            return Item(number, entry)
        cutter = self.cutter(entry) if entry.size else None
        if cutter is not None:
            return replace(cutter, number=number)
        return Item(number, entry, "bytes", Sample(b""), split_of(entry.name) or None) if self.whole else Item(number, entry)


def plan_for(path: Path, context: Context, request: Request, format_id: str | None) -> Plan:
    """The plan for a file or a folder. Raises BadInput for a format that is not known, or a column that is not there."""
    known = readers()
    if format_id is not None and format_id not in {*known, FILES, MIXED}:
        raise BadInput(f"unknown format {format_id!r}.", advice=f"Known: {FILES}, {MIXED}, {', '.join(known)}.")
    claims = [format_id] if format_id else _claims(path, known)
    claimed = claims[0] if len(claims) == 1 else None
    if claimed in {IMAGES, TEXTS} and path.is_dir():
        return _folder(path, claimed, request)
    if claimed in _RECORDS:
        return _records(path, context, request, claimed)
    if claimed in known and (plan := _loaded(path, context, request, known[claimed])) is not None:
        return plan
    if claimed == FILES:
        return Separate(FILES, "each file is a sample", lambda _entry: None, whole=True)
    return Separate(MIXED, "each file by itself", lambda entry: cutter_for(context, entry, request), whole=True)


def _claims(path: Path, known: Mapping[str, Reader]) -> list[str]:
    """Readers that claim a path. What a look at the names rules out is not asked: some look at every file of a folder."""
    out = set[str]()
    if path.is_dir():
        pictures = tars = False
        for _, _, files in os.walk(path):
            for name in map(str.lower, files):
                pictures = pictures or (name.endswith(_PICTURES) and name[0] != ".")
                tars = tars or name.endswith(webdataset.SUFFIXES)
        out = {TEXTS if pictures else IMAGES} | (set() if tars else {"webdataset"})
    return [name for name, reader in known.items() if name not in out and reader.claims(path)]


def _folder(root: Path, format_id: str, request: Request) -> Folder:
    """Of a folder of splits, each split is such a folder."""
    first = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    named = len(first) > 1 and all(split_of(name + ".") and name.isalpha() for name in first)
    splits = named and not any((root / name).is_file() for name in METADATA)
    below = {f"{name}/": metadata_of(root / name, request) for name in first} if splits else {"": metadata_of(root, request)}
    said = {prefix + name: _said(row, metadata) for prefix, metadata in below.items() for name, row in metadata.rows.items()}
    labelled = any(metadata.label for metadata in below.values())
    notes = [f"label: {'the metadata' if labelled else 'the first folder of each path'}"]
    notes += ["the first folders are splits"] if splits else []
    how: How = "bytes" if format_id == IMAGES else "text"
    suffixes = _PICTURES if format_id == IMAGES else (".txt",)
    return Folder(format_id, "; ".join(notes), how, suffixes, said, labelled, splits)


def _said(row: Mapping[str, object], metadata: Metadata) -> Sample:
    """What a row of the metadata claims."""
    free = {name.strip().lower(): name for name in reversed(list(row))}
    url, split, transform = (next((free[name] for name in names if name in free), None) for names in (URLS, SPLITS, TRANSFORMS))
    roles = (metadata.label, metadata.source, transform, split, url)
    rest = rest_digest({name: value for name, value in row.items() if name not in {"file_name", *roles[:4]}})
    label, source, change, part, address = (as_name(row.get(name)) if name else None for name in roles)
    return Sample(b"", rest, label, source, change, part, address, moment_of(row.get(metadata.time)) if metadata.time else None)


def _records(path: Path, context: Context, request: Request, format_id: str) -> Separate:
    """One file of records, or a folder of shards, read alike."""
    root = path if path.is_dir() else None
    readings: dict[str, Reading] = {}

    def cutter(entry: Entry) -> Cutter | None:
        name = entry.name.lower()
        plain = name.removesuffix(next((end for end in COMPRESSED if name.endswith(end)), ""))
        if root is not None and not name.endswith(_RECORDS[format_id]) and not plain.endswith(_RECORDS[format_id]):
            return None
        found = cutter_for(context, entry, request, records_root=root, format_id=format_id)
        return None if found is None else replace(found, reading=readings.setdefault("first", found.reading))

    first = next((entry for entry in listed(path) if entry.kind == "file" and cutter(entry) is not None), None)
    note = readings["first"].note if first is not None else "no record in it"
    return Separate(format_id, note, cutter, whole=False)


def _loaded(path: Path, context: Context, request: Request, reader: Reader) -> Separate | None:
    """Rows of a set that only its reader can cut, told of its first file; None where it cannot, which leaves files as samples."""
    try:
        dataset = reader.read(path, request)
    except BadInput:
        if request.label or request.payload:
            raise
        return None
    first = next(entry.name for entry in listed(path) if entry.kind == "file" and entry.size)
    reading = Reading(Recipe(Roles("table", "other", (), None, None, "; ".join(dataset.notes))))

    def cutter(entry: Entry) -> Cutter | None:
        return Loaded(context, entry, reading, dataset=dataset) if entry.name == first else None

    return Separate(reader.id, reading.note, cutter, whole=False)


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
