"""SQLite: the table that was read, alone in a file of its own, cells byte for byte and rows under their numbers."""

import errno
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeAlias, final

import numpy as np
from typing_extensions import override

from untaint.data.readers._sqlite import Stored, Table, address, find_table, opened, quoted, row_number
from untaint.data.writers.base import Part, Picks, Writer, changed
from untaint.data.writers.edits import Cells, Editor, Edits, Source
from untaint.types import Rows

Run: TypeAlias = tuple[tuple[object, ...], tuple[object, ...]]
"""First and last key."""
_WORD = re.compile(r"[A-Za-z]+")
_LIKE = "untaint_like"
"""What the table that is copied is attached as."""


@final
@dataclass(frozen=True)
class SqliteWriter(Writer):
    """Types, keys and encoding as they were. Other tables, indexes, views, triggers and columns the file computes stay behind."""

    id: ClassVar[str] = "sqlite"
    writes: ClassVar[str] = "sqlite"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        target = out / parts[0].source.name
        with created(target, parts[0].source) as new:
            for number, part in enumerate(parts):
                _copy(new, part, picks.of(number), first=number == 0)
        return target


@contextmanager
def created(target: Path, like: Path) -> Iterator[sqlite3.Connection]:
    """A new database with the encoding and the pages of another.

    Raises OSError when it cannot be written, BadInput when the other is broken.
    """
    with opened(like) as source:
        settings = {name: source.execute(f"PRAGMA {name}").fetchone()[0] for name in ("encoding", "page_size")}
    try:
        with closing(sqlite3.connect(target.resolve().as_uri(), uri=True, isolation_level=None)) as new:
            for name, value in {**settings, "trusted_schema": "OFF", "journal_mode": "OFF", "synchronous": "OFF"}.items():
                new.execute(f"PRAGMA {name} = '{value}'")
            new.execute("BEGIN")
            yield new
            new.execute("COMMIT")
    except sqlite3.Error as error:
        raise _not_written(error, target, like) from error


def declared(table: Table) -> str:
    """SQL that creates the table."""
    keyed = sorted((column for column in table.columns if column.key), key=lambda column: column.key)
    numbers = not table.numbered and not table.collations
    parts = []
    for column in table.columns:
        words = [quoted(column.name), column.type if _WORD.fullmatch(column.type) else quoted(column.type) if column.type else ""]
        if column.key and table.collations:
            words.append(f"COLLATE {table.collations[column.key - 1]}")
        words += ["PRIMARY KEY"] if column.key and numbers else []
        words += ["NOT NULL"] if column.required else []
        parts.append(" ".join(filter(None, words)))
    if keyed and not numbers and not _other_number(table):
        parts.append(f"PRIMARY KEY ({', '.join(quoted(column.name) for column in keyed)})")
    options = ["STRICT"] * table.strict + ["WITHOUT ROWID"] * bool(table.collations)
    return f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)}) {', '.join(options)}"


def _other_number(table: Table) -> bool:
    """Whether a key would become the number of the row, which it was not (a quirk of INTEGER PRIMARY KEY DESC)."""
    keyed = [column for column in table.columns if column.key]
    return table.numbered and len(keyed) == 1 and keyed[0].type.upper() == "INTEGER"


def _copy(new: sqlite3.Connection, part: Part, rows: np.ndarray, *, first: bool) -> None:
    with opened(part.source) as source:
        table = find_table(source, part.source, part.dataset.columns.table if part.dataset else None)
        runs, count = _runs(source, table, rows)
    if count != part.n_rows:
        raise changed(part.source, f"{count} rows instead of {part.n_rows}")
    if first:
        new.execute(declared(table))
    copy_rows(new, table, part.source, runs)


def copy_rows(new: sqlite3.Connection, table: Table, path: Path, runs: Sequence[Run]) -> None:
    """Copy runs of rows, each from a key to a key, within SQLite: no cell becomes anything else on the way."""
    names = [*(table.key if table.numbered else ()), *(quoted(column.name) for column in table.columns)]
    listed, marks = ", ".join(names), ", ".join("?" * len(table.key))
    new.execute("COMMIT")
    new.execute(f"ATTACH ? AS {_LIKE}", (address(path),))
    new.execute("BEGIN")
    new.executemany(
        f"INSERT INTO main.{quoted(table.name)} ({listed}) SELECT {listed} FROM {_LIKE}.{quoted(table.name)} NOT INDEXED "  # noqa: S608 - quoted
        f"WHERE ({table.order}) BETWEEN ({marks}) AND ({marks}) ORDER BY {table.order}",
        [[*start, *end] for start, end in runs],
    )
    new.execute("COMMIT")
    new.execute(f"DETACH {_LIKE}")
    new.execute("BEGIN")


@final
@dataclass(frozen=True)
class SqliteEditor(Editor):
    """What keys and NOT NULL would forbid is allowed where cells changed that they are about."""

    id: ClassVar[str] = "sqlite"

    @override
    def look(self, source: Source, rows: Rows) -> list[Cells]:
        wanted = set(rows.tolist())
        with opened(source.path) as connection:
            table = find_table(connection, source.path, source.columns.table)
            names, width = [column.name for column in table.columns], len(table.key)
            found = [row[width:] for place, row in enumerate(connection.execute(table.rows(names))) if place in wanted]
        return [dict(zip(names, row, strict=True)) for row in found]

    @override
    def write(self, source: Source, edits: Edits, out: Path) -> Path:
        with opened(source.path) as connection:
            table = find_table(connection, source.path, source.columns.table)
            runs, _ = _runs(connection, table, edits.rows)
        target = out / source.path.name
        with created(target, source.path) as new:
            new.execute(declared(_loosened(table, edits)))
            copy_rows(new, table, source.path, runs)
            _change(new, table, edits)
        return target


def _loosened(table: Table, edits: Edits) -> Table:
    """The table with new columns, without what would refuse the new cells."""
    touched = {name for cells in [*edits.cells.values(), *edits.added] for name in cells}
    number = table.number is not None and not touched & {table.number}
    columns = [
        replace(column, required=False, key=column.key if number else 0, type=_free(column.type) if table.strict else column.type)
        for column in table.columns
    ]
    return replace(
        table, columns=(*columns, *(Stored(name, "TEXT", False, 0) for name in edits.new)), strict=False, collations=()
    )


def _free(kind: str) -> str:
    """A type that changes no cell as a strict table's does not."""
    return "BLOB" if kind.upper() == "ANY" else kind


def _change(new: sqlite3.Connection, table: Table, edits: Edits) -> None:
    name, number = quoted(table.name), row_number([column.name for column in table.columns]) or table.order
    numbers = [found for (found,) in new.execute(f"SELECT {number} FROM {name} ORDER BY {number}")]  # noqa: S608 - quoted
    place = {row: numbers[place] for place, row in enumerate(edits.rows.tolist())}
    for row, cells in edits.cells.items():
        said = ", ".join(f"{quoted(column)} = ?" for column in cells)
        new.execute(f"UPDATE {name} SET {said} WHERE {number} = ?", [*map(_cell, cells.values()), place[row]])  # noqa: S608 - quoted
    for cells in edits.added:
        said, marks = ", ".join(map(quoted, cells)), ", ".join("?" * len(cells))
        new.execute(f"INSERT INTO {name} ({said}) VALUES ({marks})", list(map(_cell, cells.values())))  # noqa: S608 - quoted


def _cell(value: object) -> object:
    return value if isinstance(value, int | float | str | bytes | None) else str(value)


def _runs(source: sqlite3.Connection, table: Table, rows: Rows) -> tuple[list[Run], int]:
    """First and last key of every run of neighbours among the rows, and how many rows the table has."""
    breaks = np.flatnonzero(np.diff(rows) != 1)
    ends = set(rows[[*breaks, -1]].tolist()) if len(rows) else set()
    starts = set(rows[[0, *(breaks + 1)]].tolist()) if len(rows) else set()
    found: list[Run] = []
    start: tuple[object, ...] = ()
    count = 0
    for count, key in enumerate(source.execute(table.rows([])), start=1):
        start = key if count - 1 in starts else start
        if count - 1 in ends:
            found.append((start, key))
    return found, count


def _not_written(error: sqlite3.Error, target: Path, like: Path) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    code = errno.ENOSPC if name == "SQLITE_FULL" else errno.EACCES if name.startswith("SQLITE_CANTOPEN") else errno.EIO
    if name in {"SQLITE_FULL", "SQLITE_READONLY"} or name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")):
        return OSError(code, os.strerror(code), str(target))
    return changed(like, str(error))
