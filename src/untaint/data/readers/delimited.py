"""CSV and TSV: image paths, texts, pixel columns, or a table."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._bytes import COMPRESSED, RandomBytes
from untaint.data.readers._chunks import needed
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._lines import LONGEST, LineStore, lines, numbered, opened, read_lines
from untaint.data.readers._recipe import Broken, Recipe, Record
from untaint.data.readers._stretches import Raw, Stretch, TableLines, index_stretches, stretches
from untaint.data.readers.base import Reader, Request
from untaint.errors import BadInput

_DELIMITERS = ",;\t|"
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@final
@dataclass(frozen=True)
class Delimited(Reader):
    """Comma, semicolon, tab or bar between fields, as the first line shows; quoted fields may hold line breaks."""

    id: ClassVar[str] = "csv"
    summary: ClassVar[str] = "CSV or TSV (also .gz and .zst): image paths, texts, pixel columns, or a table"

    @override
    def claims(self, path: Path) -> bool:
        plain = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
        return path.is_file() and plain.suffix.lower() in {".csv", ".tsv"}

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        layout = find_layout(path)
        scan, columns = layout.records, list(layout.columns)
        file, recipe = opened(path, request, scan, layout.parse, columns)
        if recipe.roles.modality == "table":
            return _table(file, recipe, layout, self.id)
        return read_lines(file, recipe, scan, layout.parse, self.id)


def _table(file: RandomBytes, recipe: Recipe, layout: "Layout", format_id: str) -> Dataset:
    """Read by columns wherever the file is plain."""
    builder, name = IndexBuilder(), file.path.name
    store = LineStore(file, np.empty((0, 2), np.int64), layout.parse, recipe)

    def add(record: Raw) -> None:
        recipe.add(builder, numbered(layout.parse(record[2]), record[0]), f"{name}:{record[0]}")

    with file.open() as plain:
        spans = index_stretches(layout.stretches(plain), store, needed(recipe), name, builder, add)
    index = builder.finish(str(file.path), recipe.labelled)
    lines = TableLines(replace(store, spans=spans), layout.stretches)
    said = (recipe.roles.note, *builder.notes)
    return Dataset(index, lines, "table", format_id, file.path, recipe.columns(), said)


@final
@dataclass(frozen=True)
class Layout:
    """How a file is laid out. header: whether the first record names the columns."""

    columns: tuple[str, ...]
    delimiter: str
    header: bool

    def records(self, file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
        """Records of a file, each with its line breaks; blank lines are none."""
        found = _records(file, self.delimiter)
        if self.header:
            next(found, None)
        return found

    def stretches(self, file: IO[bytes]) -> Iterator[Stretch]:
        """The same by columns where that can be done."""
        return stretches(file, self.columns, self.delimiter, partial(_records, delimiter=self.delimiter), header=self.header)

    def parse(self, raw: bytes) -> Record:
        """The fields of a record by column."""
        try:
            fields = _fields(raw.removeprefix(_BOM).decode("utf-8"), self.delimiter)
        except UnicodeDecodeError as error:
            return Broken(raw, f"not UTF-8 ({error.reason})")
        except csv.Error as error:
            return Broken(raw, f"not CSV ({error})")
        if len(fields) != len(self.columns):
            return Broken(raw, f"expected {len(self.columns)} fields, got {len(fields)}")
        return dict(zip(self.columns, fields, strict=True))


def find_layout(path: Path) -> Layout:
    """The columns and the delimiter, from the first record. Raises BadInput for an empty file or two columns of one name."""
    file = RandomBytes(path)
    with file.open() as opened:
        first = next((raw for _, _, raw in lines(opened) if raw.strip()), b"")
    if first.startswith(_UTF16):
        raise BadInput(f"{path} is UTF-16.", advice="Save it as UTF-8.")
    if not first:
        raise BadInput(f"{path} is empty: no record in it.", advice="Give data with at least two classes.")
    delimiter = "\t" if ".tsv" in path.suffixes else max(_DELIMITERS, key=lambda mark: len(_header(first, mark)))
    with file.open() as opened:
        fields = _header(next(raw for _, _, raw in _records(opened, delimiter)), delimiter)
    if all(_is_number(field) for field in fields):
        return Layout(tuple(str(i) for i in range(len(fields))), delimiter, header=False)
    if twice := sorted({name for name in fields if fields.count(name) > 1}):
        raise BadInput(f"{path} has two columns called {twice[0]!r}.", advice="Rename one of them.")
    return Layout(tuple(fields), delimiter, header=True)


def columns_of(path: Path, layout: Layout) -> tuple[str, ...]:
    """What the first record of a file names, its fields parted in a given way; the layout's own where no record names any."""
    if not layout.header:
        return layout.columns
    with RandomBytes(path).open() as opened:
        first = next((raw for _, _, raw in _records(opened, layout.delimiter)), b"")
    return tuple(_header(first, layout.delimiter))


def _header(raw: bytes, delimiter: str) -> list[str]:
    return next(csv.reader([raw.removeprefix(_BOM).decode("utf-8", "backslashreplace")], delimiter=delimiter), [])


@final
class _Feed:
    """Lines for `csv.reader`, one character per byte; says whether it was asked for a line it did not have."""

    def __init__(self, found: Iterator[tuple[int, int, bytes]]) -> None:
        self._lines = found
        self._held: list[tuple[int, int, bytes]] = []
        self._size = 0
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        found = next(self._lines, None) if self._size <= LONGEST else None
        if found is None:
            self.ended = True
            raise StopIteration
        self._held.append(found)
        self._size += len(found[2])
        return found[2].decode("latin-1")

    def take(self) -> list[tuple[int, int, bytes]]:
        """The lines of one record; of a record whose quote is never closed, every line on its own."""
        held, ended = self._held, self.ended
        self._held, self._size, self.ended = [], 0, False
        if ended or not held:
            return held
        return [(held[0][0], held[0][1], b"".join(line for _, _, line in held))]


def _records(file: IO[bytes], delimiter: str) -> Iterator[tuple[int, int, bytes]]:
    """(first line, offset, bytes) of records."""
    feed = _Feed(lines(file))
    reader = csv.reader(feed, delimiter=delimiter)
    csv.field_size_limit(LONGEST)
    while True:
        with suppress(csv.Error, StopIteration):  # `Layout.parse` meets the error again and keeps it with the record
            next(reader)
        taken = feed.take()
        if not taken:
            return
        yield from (record for record in taken if record[2].strip(b"\r\n"))


def _fields(text: str, delimiter: str) -> list[str]:
    csv.field_size_limit(LONGEST)
    return next(csv.reader(chain([text], _unclosed()), delimiter=delimiter), [])


def _unclosed() -> Iterator[str]:
    """What follows a record: asked for only while a quote is open."""
    raise csv.Error("a quote is opened and never closed")
    yield ""


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
