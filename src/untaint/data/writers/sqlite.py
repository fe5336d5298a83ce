"""SQLite: the table that was read, alone in a file of its own, cells byte for byte and rows under their numbers."""

import errno
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.data.readers._sqlite import Table, address, find_table, opened, quoted
from untaint.data.writers.base import Part, Picks, Writer, changed

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


def declared(table: Table, *, loose: bool = False) -> str:
    """SQL that creates the table. loose: rows may be added that know nothing of some columns."""
    keyed = sorted((column for column in table.columns if column.key), key=lambda column: column.key)
    numbers = not table.numbered and not table.collations
    parts = []
    for column in table.columns:
        words = [quoted(column.name), column.type if _WORD.fullmatch(column.type) else quoted(column.type) if column.type else ""]
        if column.key and table.collations:
            words.append(f"COLLATE {table.collations[column.key - 1]}")
        words += ["PRIMARY KEY"] if column.key and numbers else []
        words += ["NOT NULL"] if column.required and not loose else []
        parts.append(" ".join(filter(None, words)))
    if keyed and not numbers and not loose and not _other_number(table):
        parts.append(f"PRIMARY KEY ({', '.join(quoted(column.name) for column in keyed)})")
    options = ["STRICT"] * table.strict + ["WITHOUT ROWID"] * (bool(table.collations) and not loose)
    return f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)}) {', '.join(options)}"


def _other_number(table: Table) -> bool:
    """Whether a key would become the number of the row, which it was not (a quirk of INTEGER PRIMARY KEY DESC)."""
    keyed = [column for column in table.columns if column.key]
    return table.numbered and len(keyed) == 1 and keyed[0].type.upper() == "INTEGER"


def _copy(new: sqlite3.Connection, part: Part, rows: np.ndarray, *, first: bool) -> None:
    with opened(part.source) as source:
        table = find_table(source, part.source, part.dataset.columns.table if part.dataset else None)
        runs = _runs(source, table, rows, part)
    if first:
        new.execute(declared(table))
    copy_rows(new, table, part.source, runs)


def copy_rows(
    new: sqlite3.Connection, table: Table, path: Path, runs: Sequence[tuple[Sequence[object], Sequence[object]]]
) -> None:
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


def _runs(
    source: sqlite3.Connection, table: Table, rows: np.ndarray, part: Part
) -> list[tuple[tuple[object, ...], tuple[object, ...]]]:
    """First and last key of every run of neighbours among the rows. Raises BadInput when there are not as many rows as were read."""
    breaks = np.flatnonzero(np.diff(rows) != 1)
    ends = set(rows[[*breaks, -1]].tolist()) if len(rows) else set()
    starts = set(rows[[0, *(breaks + 1)]].tolist()) if len(rows) else set()
    found, start, number = [], (), -1
    for number, key in enumerate(source.execute(table.rows([]))):
        start = key if number in starts else start
        if number in ends:
            found.append((start, key))
    if number + 1 != part.n_rows:
        raise changed(part.source, f"{number + 1} rows instead of {part.n_rows}")
    return found


def _not_written(error: sqlite3.Error, target: Path, like: Path) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    code = errno.ENOSPC if name == "SQLITE_FULL" else errno.EACCES if name.startswith("SQLITE_CANTOPEN") else errno.EIO
    if name in {"SQLITE_FULL", "SQLITE_READONLY"} or name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")):
        return OSError(code, os.strerror(code), str(target))
    return changed(like, str(error))
