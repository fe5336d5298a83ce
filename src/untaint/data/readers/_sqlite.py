"""SQLite files as they lie: opened to read only, one table described, its cells as Arrow columns.

What a schema computes (views, triggers, virtual tables, generated columns) is code in the data, and none of it is run.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import final

import pyarrow as pa

from untaint.data.roles import listed
from untaint.errors import BadInput

MAGIC = b"SQLite format 3\0"
_WAL = b"\2"  # bytes 18 and 19 of a file whose changes go to a write-ahead log first
_PATIENCE = 5.0  # seconds another program may hold a lock; a commit takes far less
_EXACT = 2**53  # float64 tells whole numbers apart up to here
_AT_ONCE = 200  # columns counted in one statement of five counts each; SQLite returns at most 2,000 values
_ROWID = ("rowid", "_rowid_", "oid")
_HIDDEN = 0
"""What `table_xinfo` says of a column that is stored as it is: not hidden, not generated."""


@final
@dataclass(frozen=True)
class Stored:
    """A column as declared. key: its place in the primary key from 1, 0 = not in it."""

    name: str
    type: str
    required: bool
    key: int


@final
@dataclass(frozen=True)
class Table:
    """A table whose rows are stored in the file. key: expressions that order the rows, all different.

    numbered: whether rows have a number that is not one of the columns; `key` is then its name.  strict: types are enforced.
    collations: of the key, where rows lie in its order.  generated: columns left out, as they are computed by the file.
    """

    name: str
    columns: tuple[Stored, ...]
    key: tuple[str, ...]
    numbered: bool
    strict: bool = False
    collations: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()

    @property
    def number(self) -> str | None:
        """The column that is the number of the row, None = there is none."""
        if self.numbered or self.collations:
            return None
        return next(column.name for column in self.columns if column.key)

    @property
    def order(self) -> str:
        """The key as SQL."""
        return ", ".join(self.key)

    def rows(self, columns: Sequence[str], *, start: bool = False) -> str:
        """SQL for the key and some columns of all rows in order; start: of those from a key on that is given to it.

        Of a broken file an index may hold other rows than the table, so none is used.
        """
        since = f" WHERE ({self.order}) >= ({', '.join('?' * len(self.key))})" if start else ""
        what = ", ".join([*self.key, *map(quoted, columns)])
        return f"SELECT {what} FROM {quoted(self.name)} NOT INDEXED{since} ORDER BY {self.order}"  # noqa: S608 - quoted


def row_number(names: Sequence[str]) -> str | None:
    """What the number of a row can be called beside these columns."""
    taken = {name.lower() for name in names}
    return next((each for each in _ROWID if each not in taken), None)


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def address(path: Path) -> str:
    """How a file is opened without writing to it.

    A log that was not yet written back belongs to the data, so it is read too; without one even the files that reading with a log
    makes beside the data are not made.
    """
    with path.open("rb") as file:
        head = file.read(20)
    log = path.with_name(path.name + "-wal")
    untouched = head[18:20] == _WAL * 2 and not (log.is_file() and log.stat().st_size)
    return f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if untouched else ''}"


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database. Raises BadInput for a file that is none, broken, encrypted or locked, wherever it shows."""
    try:
        connection = sqlite3.connect(address(path), uri=True, timeout=_PATIENCE, isolation_level=None)
        try:
            connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
            for setting in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
                connection.execute(f"PRAGMA {setting}")
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: sqlite3.Error) -> BadInput:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BadInput(f"{path} is locked by another program.", advice="Try again when it is done, or give a copy.")
    if name == "SQLITE_NOTADB":
        advice = "Decrypt it, or export the table as CSV or Parquet."
        return BadInput(f"{path} is no SQLite database, or an encrypted one.", advice=advice)
    if name.startswith("SQLITE_CORRUPT"):
        return BadInput(
            f"{path} is truncated or broken: {error}.", advice="Fetch it again, or recover it with `sqlite3 .recover`."
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        advice = "Open it once with the program that wrote it, or give a copy in a folder that can be written."
        return BadInput(f"{path} was not closed by the program that wrote it, and cannot be read as it is.", advice=advice)
    return BadInput(f"{path} cannot be read: {error}.", advice="Export the table as CSV or Parquet.")


def find_table(connection: sqlite3.Connection, path: Path, asked: str | None) -> Table:
    """The table that was asked for, or the only one. Raises BadInput where there is none such, or several."""
    found = connection.execute("SELECT name, type, rootpage, sql FROM sqlite_master").fetchall()
    virtual = [name for name, kind, root, _ in found if kind == "table" and not root]
    views = [name for name, kind, _, _ in found if kind == "view"]
    names = [name for name, kind, root, _ in found if kind == "table" and root and not _inner(name, virtual)]
    if asked in {*views, *virtual}:
        what = "a view" if asked in views else "a virtual table"
        message = f"{path}: {asked!r} is {what}: it would run what the file says, and nothing in a file is run."
        raise BadInput(message, advice="Make a table of it with a program you trust (CREATE TABLE … AS SELECT …).")
    if asked is not None and asked not in names:
        near = get_close_matches(asked, names, n=1)
        advice = f"Did you mean --table {near[0]}?" if near else "Choose one with --table NAME."
        raise BadInput(f"{path} has no table {asked!r}; its tables are {listed(names)}.", advice=advice)
    if not names:
        others = f", only {listed([*views, *virtual])}, which are computed" if views or virtual else ""
        raise BadInput(f"{path} holds no table{others}.", advice="Give a database with a table of samples.")
    if asked is None and len(names) > 1:
        raise BadInput(f"{path} holds several tables: {listed(names)}.", advice=f"Choose one: --table {names[0]}.")
    return _described(connection, path, asked or names[0])


def _inner(name: str, virtual: Sequence[str]) -> bool:
    """Whether a table belongs to SQLite itself or to a virtual table."""
    return name.startswith("sqlite_") or any(name.startswith(f"{each}_") for each in virtual)


def _described(connection: sqlite3.Connection, path: Path, name: str) -> Table:
    told = connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
    columns = tuple(Stored(each[1], each[2], bool(each[3]), each[5]) for each in told if each[6] == _HIDDEN)
    generated = tuple(each[1] for each in told if each[6] != _HIDDEN)
    if not columns:
        raise BadInput(f"{path}: table {name!r} has no stored column.", advice="Give another with --table NAME.")
    keyed = sorted((each for each in columns if each.key), key=lambda each: each.key)
    free = row_number([*(each.name for each in columns), *generated])
    indexes = connection.execute(f"PRAGMA index_list({quoted(name)})").fetchall()
    primary = next((each[1] for each in indexes if each[3] == "pk"), None)
    strict = _strict(connection, name)
    if keyed and primary is None:  # INTEGER PRIMARY KEY: the column is the number of the row
        return Table(name, columns, (quoted(keyed[0].name),), numbered=False, strict=strict, generated=generated)
    if free is not None and _has_numbers(connection, name, free):
        return Table(name, columns, (free,), numbered=True, strict=strict, generated=generated)
    if primary is None or not keyed:
        message = f"{path}: the rows of table {name!r} have no number that can be asked for."
        raise BadInput(message, advice=f"Rename the columns that are called {', '.join(_ROWID)}.")
    order = {each[2]: each[4] for each in connection.execute(f"PRAGMA index_xinfo({quoted(primary)})").fetchall()}
    key = tuple(quoted(each.name) for each in keyed)
    return Table(name, columns, key, False, strict, tuple(order[each.name] for each in keyed), generated)


def _strict(connection: sqlite3.Connection, name: str) -> bool:
    told = connection.execute(
        f"PRAGMA table_list({quoted(name)})"
    ).fetchall()  # nothing before SQLite 3.37, which has no such tables
    return any(bool(each[5]) for each in told if each[0] == "main")


def _has_numbers(connection: sqlite3.Connection, name: str, number: str) -> bool:
    """Whether the rows of a table have numbers; those that lie in the order of their key have none."""
    try:
        connection.execute(f"SELECT {number} FROM {quoted(name)} LIMIT 0")  # noqa: S608 - one of _ROWID, and quoted
    except sqlite3.OperationalError:
        return False
    return True


def types_of(connection: sqlite3.Connection, table: Table) -> dict[str, pa.DataType]:
    """How each column is held in Arrow, from every cell in it: SQLite lets a column hold anything.

    Whole numbers, numbers or bytes where (nearly) all cells are; else text, of which numbers are read again later.
    """
    found: dict[str, pa.DataType] = {}
    names = [column.name for column in table.columns]
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        asked = ", ".join(_counts(quoted(name)) for name in part)
        counts = connection.execute(f"SELECT {asked} FROM {quoted(table.name)} NOT INDEXED").fetchone()  # noqa: S608 - quoted
        for place, name in enumerate(part):
            found[name] = _type(*counts[place * 5 : place * 5 + 5])
    return found


def _counts(name: str) -> str:
    kinds = (f"sum(typeof({name}) = '{kind}')" for kind in ("integer", "real", "text", "blob"))
    return f"{', '.join(kinds)}, max(CASE WHEN typeof({name}) = 'integer' THEN abs(CAST({name} AS REAL)) END)"


def _type(whole: int | None, real: int | None, text: int | None, raw: int | None, largest: float | None) -> pa.DataType:
    whole, real, text, raw = whole or 0, real or 0, text or 0, raw or 0
    if raw * 2 > whole + real + text + raw:
        return pa.binary()
    if text or raw or (real and (largest or 0) > _EXACT):
        return pa.string()
    return pa.float64() if real else pa.int64() if whole else pa.null()


def as_columns(rows: Sequence[Sequence[object]], types: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    """Rows of cells as Arrow."""
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    arrays = [pa.array([_as(cell, kind) for cell in column], kind) for column, kind in zip(cells, types.values(), strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(list(types.items())))


def _as(cell: object, kind: pa.DataType) -> object:
    """A cell as its column holds it; bytes among words are written as SQL writes them."""
    if cell is None or kind not in {pa.string(), pa.binary()}:
        return cell
    if isinstance(cell, bytes):
        return cell if kind == pa.binary() else f"X'{cell.hex()}'"
    text = cell if isinstance(cell, str) else repr(cell)
    return text if kind == pa.string() else text.encode("utf-8", "surrogatepass")
