"""SQLite: one table of a database file."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pyarrow as pa
from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._chunks import SAMPLE, ChunkStore, index_batches, needed, recipe_for
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._sqlite import MAGIC, Table, as_columns, find_table, opened, types_of
from untaint.data.readers.base import Reader, Request
from untaint.data.roles import listed
from untaint.errors import BadInput

_SUFFIXES = frozenset({".db", ".sqlite", ".sqlite3", ".db3"})
_OTHERS = b"DUCK"
"""At byte 8 of a DuckDB file, which may be called .db too."""
_CHUNK, _PICTURES = 4096, 256
"""Rows read at once, and the same where they hold bytes: pictures of any usual size then fit in memory."""


@final
@dataclass(frozen=True)
class Sqlite(Reader):
    """A table of a SQLite file in the order of its row numbers. A column is read as what its cells are, however it is declared."""

    id: ClassVar[str] = "sqlite"
    summary: ClassVar[str] = "SQLite database: one table (--table NAME) of columns, texts, or images as bytes"
    asks: ClassVar[frozenset[str]] = frozenset({"table"})

    @override
    def claims(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
        return head == MAGIC or (path.suffix.lower() in _SUFFIXES and head[8:12] != _OTHERS)

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        with opened(path) as connection:
            connection.execute("BEGIN")  # one state of the data, whoever writes meanwhile
            table = find_table(connection, path, request.table)
            where, types = f"{path}, table {table.name!r}", types_of(connection, table)
            first = connection.execute(table.rows(list(types)) + f" LIMIT {SAMPLE}").fetchall()
            head = pa.Table.from_batches([as_columns([row[len(table.key) :] for row in first], types)])
            recipe = recipe_for(head, request, where, root=path.parent, names={})
            builder, runs = IndexBuilder(), _Runs(path, table, {name: types[name] for name in recipe.roles.payload})
            index_batches(runs.seen(connection, {name: types[name] for name in needed(recipe)}), recipe, builder, table.name)
        index = builder.finish(where, recipe.labelled)
        columns = replace(recipe.columns(), table=table.name)
        notes = (columns.note, *builder.notes, *_notes(table, asked=request.table is not None))
        return Dataset(index, ChunkStore(runs.starts(), runs, recipe), recipe.roles.modality, self.id, path, columns, notes)


def _notes(table: Table, *, asked: bool) -> Iterator[str]:
    yield f"table: {table.name!r} ({'as asked' if asked else 'the only one'})"
    if table.generated:
        yield f"left out, as the file computes them: {listed(table.generated)}"


@final
class _Runs:
    """Runs of rows, each known by the key of its first; called with a number, reads that one."""

    def __init__(self, path: Path, table: Table, types: Mapping[str, pa.DataType]) -> None:
        self._path, self._table, self._types = path, table, types
        self._size = _PICTURES if pa.binary() in types.values() else _CHUNK
        self._starts: list[Sequence[object]] = []
        self._sizes: list[int] = []

    def seen(self, connection: sqlite3.Connection, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        """These columns of all rows, run by run."""
        width = len(self._table.key)
        found = connection.execute(self._table.rows(list(types)))
        while rows := found.fetchmany(self._size):
            self._starts.append(rows[0][:width])
            self._sizes.append(len(rows))
            yield as_columns([row[width:] for row in rows], types)

    def starts(self) -> np.ndarray:
        """First row of each run, then the number of rows."""
        return np.cumsum([0, *self._sizes])

    def __call__(self, number: int) -> pa.Table:
        width, size = len(self._table.key), self._sizes[number]
        asked = self._table.rows(list(self._types), start=True) + f" LIMIT {size}"
        with opened(self._path) as connection:
            rows = connection.execute(asked, list(self._starts[number])).fetchall()
        if len(rows) != size or tuple(rows[0][:width]) != tuple(self._starts[number]):
            raise BadInput(f"{self._path} has changed since it was indexed.", advice="Run again on data nobody is writing to.")
        return pa.Table.from_batches([as_columns([row[width:] for row in rows], self._types)])
