"""WebDataset: tar files in which the members of one sample share a name and differ in the suffix. Never unpacked to disk."""

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.data.dataset import Dataset, Payload, Store
from untaint.data.readers._bytes import RandomBytes, Span
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._recipe import MAX_FILE, Broken, Recipe, Record
from untaint.data.readers._shards import find_shards, one_split
from untaint.data.readers.base import Reader, Request
from untaint.data.roles import IMAGE_SUFFIXES, choose
from untaint.errors import BadInput
from untaint.types import Rows

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst")
_BLOCK = 512
"""Bytes of a tar block."""
_SAMPLE = 200
_FIELDS = "json"
"""Column of the member whose fields are columns themselves."""


@final
@dataclass(frozen=True)
class WebDataset(Reader):
    """Images (.png, .jpg, .webp …) or texts (.txt) with labels in .cls or in the fields of .json."""

    id: ClassVar[str] = "webdataset"
    summary: ClassVar[str] = "WebDataset tar or folder of shards: .png/.jpg/.webp or .txt members with .cls or .json beside them"

    @override
    def claims(self, path: Path) -> bool:
        return bool(_shards(path))

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        folder = path if path.is_dir() else path.parent
        shards, notes = one_split(_shards(path), path) if path.is_dir() else ([path], ())
        files = [RandomBytes(shard) for shard in shards]
        recipe = recipe_of(files, request, path)
        builder, places = IndexBuilder(), []
        for number, file in enumerate(files):
            name = file.path.relative_to(folder).as_posix()
            for sample in samples(file):
                _add(builder, sample, recipe, f"{name}/{sample.key}")
                carrier = sample.carrier(recipe.roles.payload[0])
                places.append((number, *sample.spans.get(carrier, (0, 0)), carrier != _FIELDS))
        index = builder.finish(str(path), f"{recipe.roles.label!r}")
        store = TarStore(tuple(files), np.array(places, dtype=np.int64), recipe)
        return Dataset(index, store, recipe.roles.modality, self.id, path, recipe.columns(), (recipe.roles.note, *notes))


@final
@dataclass
class Sample:
    """Members of one key: their bytes and where they lie, by column."""

    key: str
    members: dict[str, bytes] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)

    def carrier(self, column: str) -> str:
        """The member that holds the payload: its own, or the .json of which it is a field."""
        return _FIELDS if column not in self.members and _FIELDS in self.members else column


@final
@dataclass(frozen=True)
class TarStore(Store):
    """Payloads at (shard, offset, size, whether that member is the payload and not the .json that has it as a field)."""

    files: tuple[RandomBytes, ...]
    places: np.ndarray
    recipe: Recipe

    @override
    def read(self, rows: Rows) -> list[Payload]:
        found: dict[int, Payload] = {}
        column = self.recipe.roles.payload[0]
        for shard in np.unique(self.places[rows, 0]):
            wanted = np.unique(rows[self.places[rows, 0] == shard])
            spans: list[Span] = [(int(offset), int(size)) for _, offset, size, _ in self.places[wanted]]
            for row, raw in zip(wanted, self.files[int(shard)].read(spans), strict=True):
                carrier = column if self.places[row, 3] else _FIELDS
                found[int(row)] = self.recipe.read(record_of({carrier: raw}))[0]
        return [found[int(row)] for row in rows]


def samples(file: RandomBytes) -> Iterator[Sample]:
    """The samples of a tar file in order, consecutive members of one key together."""
    current: Sample | None = None
    with file.open() as opened:
        for member, data in _members(opened, file.path):
            key, column = _key(member.name)
            if current is None or key != current.key or column in current.members:
                if current is not None:
                    yield current
                current = Sample(key)
            current.members[column] = data
            current.spans[column] = (member.offset_data, member.size)
    if current is not None:
        yield current


def _members(opened: IO[bytes], path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Regular members with their bytes. Raises BadInput for a member that could do harm, and for a truncated file."""
    try:
        with tarfile.open(fileobj=opened, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out; tarfile keeps every member it met; a shard has millions
                _refuse(member, path)
                if member.isfile():
                    content = archive.extractfile(member)
                    data = content.read() if content else b""
                    if len(data) != member.size:
                        raise tarfile.ReadError(f"member {member.name!r} is cut short")
                    yield member, data
            _check_end(opened, archive.offset)
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise BadInput(f"{path} is not a readable tar file: {error}.", advice="It may be truncated: fetch it again.") from error


def _refuse(member: tarfile.TarInfo, path: Path) -> None:
    """Nothing is unpacked, but an archive with such a member was made to attack whoever does."""
    pure = PurePosixPath(member.name.replace("\\", "/"))
    kind = (
        "is a link"
        if member.issym() or member.islnk()
        else "is no regular file"
        if not (member.isfile() or member.isdir())
        else ""
    )
    if pure.is_absolute() or ".." in pure.parts:
        kind = "leads out of the folder"
    if member.issparse() or member.size > MAX_FILE:
        kind = "is sparse or larger than any sample"
    if kind:
        raise BadInput(f"{path}: member {member.name!r} {kind}.", advice="Do not trust this archive; ask who made it.")


def _check_end(opened: IO[bytes], offset: int) -> None:
    """An archive ends in zeros only: tarfile stops without a word at a broken header and at what follows the end."""
    opened.seek(offset)
    first = opened.read(_BLOCK)
    if len(first) < _BLOCK:
        raise tarfile.ReadError("it has no end mark")
    block: bytes | None = first
    while block:
        if block.strip(b"\0"):
            raise tarfile.ReadError(f"broken header, or data after the end, near byte {offset:,}")
        block = opened.read(1 << 20)


def _key(name: str) -> tuple[str, str]:
    """The key of a member and the column its suffix stands for."""
    pure = PurePosixPath(name)
    stem, _, suffix = pure.name.partition(".")
    lower = suffix.lower()
    column = "image" if f".{lower}" in IMAGE_SUFFIXES else "text" if lower in {"txt", "text"} else lower
    return (pure.parent / stem).as_posix(), column


def _add(builder: IndexBuilder, sample: Sample, recipe: Recipe, path: str) -> None:
    """Index one sample; the payload comes from one member only, as when it is read again."""
    carrier = sample.carrier(recipe.roles.payload[0])
    payload, reason = recipe.read(record_of({carrier: sample.members.get(carrier, b"")}))
    record = record_of(sample.members)
    if isinstance(record, Broken):
        reason = reason or record.reason
    label, source = recipe.label(record), recipe.source(record)
    builder.add(payload, path=path, label=label, source=source, time=recipe.time(record), unreadable=reason)


def record_of(members: Mapping[str, bytes]) -> Record:
    """Members as a record: text decoded, the fields of .json beside them; Broken when a member is not what its suffix says."""
    record: dict[str, object] = {}
    for column, raw in members.items():
        if _is_picture(column):
            record[column] = raw
            continue
        try:
            text = raw.decode("utf-8")
            fields = json.loads(text) if column == _FIELDS else {column: text.strip() if column == "cls" else text}
        except (ValueError, RecursionError) as error:
            if column in {_FIELDS, "cls", "text"}:
                return Broken(raw, f".{column} cannot be read: {error}")
            continue
        record |= fields if isinstance(fields, dict) else {}
    return record


def _is_picture(column: str) -> bool:
    return column == "image" or PurePosixPath(f"x.{column}").suffix in IMAGE_SUFFIXES


def recipe_of(files: Sequence[RandomBytes], request: Request, path: Path) -> Recipe:
    """The roles of members and fields. Raises BadInput for no sample, or none with an image or a text."""
    found = [record for sample in _first(files) if isinstance(record := record_of(sample.members), Mapping)]
    if not found:
        raise BadInput(f"{path} is empty: no sample in it.", advice="Give data with at least two classes.")
    columns = {
        name: [record.get(name) for record in found] for name in dict.fromkeys(name for record in found for name in record)
    }
    roles = choose(columns, str(path), label=request.label, source=request.source, payload=request.payload, time=request.time)
    if roles.modality == "table" or len(roles.payload) != 1:
        raise BadInput(f"{path} has no member with an image or a text.", advice="Name one field with --payload NAME.")
    return Recipe(roles)


def _first(files: Sequence[RandomBytes]) -> list[Sample]:
    return list(islice((sample for file in files for sample in samples(file)), _SAMPLE))


def _shards(path: Path) -> list[Path]:
    if path.is_dir():
        return find_shards(path, SUFFIXES)
    return [path] if path.name.lower().endswith(SUFFIXES) else []
