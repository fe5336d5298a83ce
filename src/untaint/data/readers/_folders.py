"""Folders with a file per sample: `root/<class>/…/file`, or described by metadata.csv or metadata.jsonl."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import final

from typing_extensions import override

from untaint.data.dataset import Columns, Dataset, Payload, Store
from untaint.data.readers import delimited, json_lines
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._recipe import Read, Record, as_name, picture_file
from untaint.data.readers._shards import split_of
from untaint.data.readers.base import Request
from untaint.data.roles import find_label, find_source, find_time
from untaint.errors import BadInput
from untaint.types import Modality, Rows

METADATA = ("metadata.csv", "metadata.jsonl")
_DEPTH = 3
"""Class, source and file: deeper folders are searched for images too, but tell nothing."""


@final
@dataclass(frozen=True)
class Metadata:
    """What a metadata file says, by file name."""

    rows: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    label: str | None = None
    source: str | None = None
    time: str | None = None
    notes: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Kind:
    """Which files of a folder are samples, and how each is read.

    what: in words for people.  belongs: by name; a linked folder, a name that ends in a slash, belongs: what is not followed must
    be seen.  read: payload of a file below a root, and why it cannot be used.
    """

    format_id: str
    modality: Modality
    what: str
    belongs: Callable[[str], bool]
    read: Callable[[Path, str], Read]


@final
@dataclass(frozen=True)
class FolderStore(Store):
    """Payloads in files below a folder."""

    root: Path
    names: tuple[str, ...]
    reading: Callable[[Path, str], Read]

    @override
    def read(self, rows: Rows) -> list[Payload]:
        return [self.reading(self.root, self.names[int(row)])[0] for row in rows]


def read_folder(path: Path, request: Request, kind: Kind) -> Dataset:
    """Rows in order of their relative paths; the first folder is the label unless a metadata file gives one."""
    found = sorted(files_below(path))
    metadata = metadata_of(path, request)
    names = sorted({*filter(kind.belongs, found), *metadata.rows})
    if metadata.label is None:
        _refuse_splits(path, names)
    builder = IndexBuilder()
    for name in names:
        row = metadata.rows.get(name, {})
        label = as_name(row.get(metadata.label)) if metadata.label else _folder_label(name)
        payload, reason = kind.read(path, name)
        source = as_name(row.get(metadata.source)) if metadata.source else None
        time = row.get(metadata.time) if metadata.time else None
        builder.add(payload, path=name, label=label, source=source, time=time, unreadable=reason)
    how = f"label: column {metadata.label!r} of the metadata" if metadata.label else "label: the first folder of each path"
    index = builder.finish(str(path), "the column" if metadata.label else "the folder name")
    notes = (how, *metadata.notes, *builder.notes, *_left_out(found, kind), *_second_level(names, metadata))
    columns = Columns(None, metadata.label, metadata.source, how, metadata.time)
    return Dataset(index, FolderStore(path, tuple(names), kind.read), kind.modality, kind.format_id, path, columns, notes)


def file_below(root: Path, name: str) -> Read:
    """The bytes of one file; links out of the folder and things that are no files are refused."""
    target = root / name
    try:
        mode = target.lstat().st_mode
    except (OSError, ValueError) as error:
        return b"", f"{name!r} cannot be read: {error}"
    if stat.S_ISLNK(mode) and (name.endswith("/") or not target.resolve().is_relative_to(root.resolve())):
        return b"", f"symbolic link to {os.readlink(target)!r} is not followed"
    return picture_file(root, name)


def files_below(root: Path) -> Iterator[str]:
    """Relative names of files, hidden ones left out; a linked folder is one name that ends in a slash."""
    for folder, below, files in os.walk(root, followlinks=False):
        below[:] = sorted(name for name in below if not name.startswith("."))
        links = [name + "/" for name in below if Path(folder, name).is_symlink()]
        for name in [*files, *links]:
            if not name.startswith("."):
                yield (PurePosixPath(folder).relative_to(root) / name).as_posix() + ("/" if name.endswith("/") else "")


def _folder_label(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    return parts[0] if len(parts) > 1 or name.endswith("/") else None


def _refuse_splits(root: Path, names: list[str]) -> None:
    """Folders called train and test are splits, not classes."""
    first = sorted({label for name in names if (label := _folder_label(name)) is not None})
    if len(first) > 1 and all(split_of(name + ".") and name.isalpha() for name in first):
        raise BadInput(f"{root} holds the splits {', '.join(first)}.", advice=f"Name one of them: {root / first[0]}.")


def _left_out(found: list[str], kind: Kind) -> tuple[str, ...]:
    others = [name for name in found if not kind.belongs(name) and name not in METADATA]
    return (f"{len(others)} files are not called like {kind.what} and were left out, the first: {others[0]}",) if others else ()


def _second_level(names: list[str], metadata: Metadata) -> tuple[str, ...]:
    """A second level of folders that repeats may be the class: said, not guessed."""
    parts = [PurePosixPath(name).parts for name in names]
    pairs = {(part[0], part[1]) for part in parts if len(part) >= _DEPTH}
    repeated = len({second for _, second in pairs}) < len(pairs)
    if metadata.label is not None or not repeated:
        return ()
    return ("two levels of folders: the first was read as the label, the second may be; a metadata.csv settles it",)


def metadata_file(root: Path) -> Path | None:
    """The file that describes the files of a folder, if there is one."""
    return next((root / name for name in METADATA if (root / name).is_file()), None)


def metadata_of(root: Path, request: Request) -> Metadata:
    """What the metadata file of a folder says, if there is one. Raises BadInput for a broken one, and an absent column."""
    file = metadata_file(root)
    if file is None:
        if asked := request.label or request.source or request.time:
            raise BadInput(
                f"{root} has no column {asked!r}: it has no metadata file.", advice="Add a metadata.csv with file_name."
            )
        return Metadata()
    columns, rows, twice = metadata_rows(file)
    label, _ = find_label(columns, str(file), request.label)
    source, source_note = find_source(columns, str(file), request.source)
    time, time_note = find_time(columns, str(file), request.time, {"file_name", label, source})
    return Metadata(rows, label, source, time, (source_note, *filter(None, [time_note]), *twice))


def metadata_rows(file: Path) -> tuple[Mapping[str, Sequence[object]], Mapping[str, Mapping[str, object]], tuple[str, ...]]:
    """Values by column of a metadata file, its rows by the file they speak of, and what is odd. Raises BadInput for a broken one."""
    records = _records(file)
    columns = {name: [row.get(name) for row in records] for name in dict.fromkeys(name for row in records for name in row)}
    if "file_name" not in columns:
        raise BadInput(f"{file} has no column 'file_name'.", advice="Give each file's path relative to the folder.")
    rows: dict[str, Mapping[str, object]] = {}
    for row in records:
        rows.setdefault(PurePosixPath(str(row.get("file_name"))).as_posix(), row)
    twice = (f"{len(records) - len(rows)} files are listed twice; the first line counts",) if len(rows) < len(records) else ()
    return columns, rows, twice


def _records(file: Path) -> list[Mapping[str, object]]:
    """Rows of a metadata file. Raises BadInput for a broken line: which file it speaks of is not known."""
    layout = delimited.find_layout(file) if file.suffix == ".csv" else None
    scan, parse = (layout.records, layout.parse) if layout else (json_lines.records, json_lines.parse)
    with file.open("rb") as opened:
        found: list[tuple[int, Record]] = [(number, parse(raw)) for number, _, raw in scan(opened)]
    rows = [record for _, record in found if isinstance(record, Mapping)]
    if len(rows) < len(found):
        number, record = next((number, record) for number, record in found if not isinstance(record, Mapping))
        raise BadInput(f"{file}, line {number}: {getattr(record, 'reason', '')}.", advice="Mend the line.")
    return rows
