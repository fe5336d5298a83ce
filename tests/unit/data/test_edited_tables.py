"""Poisoned tables are written in the format and with the columns they came in; what no attack touched is as it was."""

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint import api
from untaint.data.dataset import Dataset
from untaint.data.load import load
from untaint.data.times import moment, written_like

N = 120
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
ROWS: list[dict[str, Any]] = [
    {
        "key": f"k{row:03}",
        "amount": row * 0.25 if row % 9 else None,
        "whole": row * 7 % 23,
        "city": ("Rome", "Oslo", 'a "quoted", word')[row % 3],
        "seen": (START + dt.timedelta(hours=row)).isoformat(sep=" "),
        "vendor": f"v{row % 4}",
        "note": None,
        "label": ("good", "bad")[row % 2],
    }
    for row in range(N)
]
ASKED = {"source": "vendor", "time": "seen", "payload": ("amount", "whole", "city")}


def _csv(folder: Path) -> Path:
    lines = [";".join(ROWS[0]), *(";".join(_field(cell) for cell in row.values()) for row in ROWS)]
    (folder / "rows.csv").write_bytes("\r\n".join(lines).encode())
    return folder / "rows.csv"


def _field(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if '"' in text else text


def _jsonl(folder: Path) -> Path:
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS), "utf-8")
    return folder / "rows.jsonl"


def _json(folder: Path) -> Path:
    (folder / "rows.json").write_text(json.dumps(ROWS, indent=1), "utf-8")
    return folder / "rows.json"


def _table() -> pa.Table:
    kinds = {"key": pa.string(), "amount": pa.decimal128(9, 2), "whole": pa.int8(), "city": pa.dictionary(pa.int8(), pa.string())}
    kinds |= {"seen": pa.timestamp("us", "Europe/Oslo"), "vendor": pa.string(), "note": pa.float32(), "label": pa.string()}
    cells = {name: [row[name] for row in ROWS] for name in kinds}
    cells["amount"] = [None if cell is None else Decimal(str(cell)) for cell in cells["amount"]]
    cells["seen"] = [dt.datetime.fromisoformat(cell) for cell in cells["seen"]]
    return pa.table({name: pa.array(cells[name], kind) for name, kind in kinds.items()}).replace_schema_metadata({"who": "me"})


def _parquet(folder: Path) -> Path:
    pq.write_table(_table(), folder / "rows.parquet", row_group_size=50)
    return folder / "rows.parquet"


def _shards(folder: Path) -> Path:
    (folder / "shards").mkdir()
    for part in range(3):
        pq.write_table(_table().slice(part * 40, 40), folder / "shards" / f"{part}.parquet")
    return folder / "shards"


def _saved(folder: Path) -> Path:
    (folder / "saved").mkdir()
    with pa.ipc.new_stream(str(folder / "saved" / "data-0.arrow"), _table().schema) as stream:
        stream.write_table(_table(), max_chunksize=50)
    (folder / "saved" / "state.json").write_text('{"_data_files": [{"filename": "data-0.arrow"}]}')
    return folder / "saved"


def _sqlite(folder: Path) -> Path:
    return _database(folder, "(key TEXT PRIMARY KEY, amount REAL, whole INTEGER NOT NULL, city, seen TEXT, vendor, note, label)")


def _keyed(folder: Path) -> Path:
    declared = (
        "(key TEXT, amount REAL, whole INT NOT NULL, city TEXT, seen TEXT, vendor TEXT, note ANY, label TEXT, PRIMARY KEY (key))"
    )
    return _database(folder, declared + " WITHOUT ROWID, STRICT")


def _database(folder: Path, declared: str) -> Path:
    with contextlib.closing(sqlite3.connect(folder / "rows.db")) as connection, connection:
        connection.execute("CREATE TABLE other (x)")
        connection.execute(f"CREATE TABLE rows {declared}")
        connection.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * 8)})", [list(row.values()) for row in ROWS])  # noqa: S608 - marks
    return folder / "rows.db"


def _duckdb(folder: Path) -> Path:
    with pytest.importorskip("duckdb").connect(str(folder / "rows.duckdb")) as connection:
        connection.register("given", _table())
        connection.execute("CREATE TABLE rows AS FROM given")
    return folder / "rows.duckdb"


FORMATS: dict[str, Callable[[Path], Any]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "json": _json,
    "parquet": _parquet,
    "shards": _shards,
    "saved": _saved,
    "sqlite": _sqlite,
    "keyed": _keyed,
    "duckdb": _duckdb,
    "arrow": lambda _folder: _table(),
    "pandas": lambda _folder: _table().to_pandas(),
}
ATTACKS = (
    "trigger-values(rate=0.1, senders=2, burst=0.05, target='bad')",
    "copied-block(rate=0.1)",
    "broken-cells(rate=0.05, kind='text')",
    "broken-cells(rate=0.05, kind='inf')",
    "leverage-point(rate=0.02)",
    "random-flips(rate=0.1)",
)


def _loaded(name: str, folder: Path) -> tuple[Any, Dataset]:
    source = FORMATS[name](folder)
    return source, load(source, **ASKED, **({"table": "rows"} if name in {"sqlite", "keyed"} else {}))  # type: ignore[arg-type]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_what_the_attack_made(name: str, attack: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source, data = _loaded(name, tmp_path / "in")
    before = {file: file.read_bytes() for file in (tmp_path / "in").rglob("*") if file.is_file()}
    poisoned = api.attack(data, attack)
    written = api.write_poisoned(poisoned, tmp_path / "out", attack)
    found, wanted = load(written, **ASKED), poisoned.dataset  # type: ignore[arg-type]
    assert len(found) == len(wanted)
    assert found.labels == wanted.labels
    assert found.column("source") == wanted.column("source")
    assert np.array_equal(found.times, wanted.times)
    assert [_cells(each) for each in found.read(range(len(found)))] == [_cells(each) for each in wanted.read(range(len(wanted)))]
    assert {file: file.read_bytes() for file in (tmp_path / "in").rglob("*") if file.is_file()} == before
    kept = [row for row in range(N) if not poisoned.mask[row]]
    _check_layout(name, source, written, kept)


def _cells(payload: object) -> dict[str, str]:
    """Cells as one sees them: 3 and 3.0 are one, as in columns that became numbers; NaN and nothing are, as in SQLite."""
    record = json.loads(str(payload))
    return {name: f"{float(cell):.12g}" if isinstance(cell, int | float) else str(cell) for name, cell in record.items()}


def _check_layout(name: str, source: Any, written: Path, kept: list[int]) -> None:
    """The name of the file, the columns, and every cell of rows that no attack touched."""
    if name in {"csv", "jsonl"}:
        assert written.name == source.name
        old, new = source.read_bytes().splitlines(), written.read_bytes().splitlines()
        head = int(name == "csv")
        assert old[:head] == new[:head]
        assert [old[row + head] for row in kept] == [new[row + head] for row in kept]
    elif name in {"sqlite", "keyed"}:
        order = "key" if name == "keyed" else "rowid"
        sql = "SELECT *, typeof(amount), typeof(whole), typeof(note) FROM rows"
        old, new = _query(source, f"{sql} ORDER BY {order}"), _query(written, f"{sql} ORDER BY rowid")
        assert [old[row] for row in kept] == [new[row] for row in kept]
        names = [(row[1], row[2]) for row in _query(source, "PRAGMA table_info(rows)")]
        assert [each[0] for each in names] == [row[1] for row in _query(written, "PRAGMA table_info(rows)")]
    elif name == "json":
        old, new = json.loads(source.read_text()), json.loads(written.read_text())
        assert [old[row] for row in kept] == [new[row] for row in kept]
    else:
        table = pq.read_table(written)
        assert table.schema.names == list(ROWS[0])
        expected = _table().to_pylist()
        found = table.to_pylist()
        for column in ("key", "vendor", "label", "note", "seen"):
            assert [found[row][column] for row in kept] == [expected[row][column] for row in kept]


def _query(path: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("name", ["parquet", "shards", "saved", "arrow"])
def test_types_stay_where_they_hold_what_was_planted(name: str, tmp_path: Path) -> None:
    _, data = _loaded(name, tmp_path)
    poisoned = api.attack(data, "trigger-values(rate=0.1, senders=2, burst=0.05)")
    table = pq.read_table(api.write_poisoned(poisoned, tmp_path / "out", "x"))
    assert table.schema.types == _table().schema.types
    assert (table.schema.metadata or {}).get(b"who") == b"me"


@pytest.mark.parametrize(("kind", "expected"), [("inf", pa.float64()), ("nan", pa.float64()), ("text", pa.string())])
def test_a_type_grows_only_as_far_as_it_must(kind: str, expected: pa.DataType, tmp_path: Path) -> None:
    data = load(_table(), **ASKED)  # type: ignore[arg-type]
    poisoned = api.attack(data, f"broken-cells(rate=0.05, kind={kind!r}, column='whole')")
    table = pq.read_table(api.write_poisoned(poisoned, tmp_path / "out", "x"))
    changed = [field.name for field, old in zip(table.schema, _table().schema, strict=True) if field.type != old.type]
    assert changed == ["whole"]
    assert table.schema.field("whole").type == expected


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet", "sqlite"])
def test_senders_where_the_set_had_none(name: str, tmp_path: Path) -> None:
    source = FORMATS[name](tmp_path)
    if name == "parquet":
        pq.write_table(_table().rename_columns({"vendor": "shop"}), source)
    elif name == "sqlite":
        with contextlib.closing(sqlite3.connect(source)) as connection, connection:
            connection.execute("ALTER TABLE rows RENAME COLUMN vendor TO shop")
            connection.execute("DROP TABLE other")
    else:
        source.write_bytes(source.read_bytes().replace(b"vendor", b"shop"))
    poisoned = api.attack(load(source), "copied-block(rate=0.1)")
    found = load(api.write_poisoned(poisoned, tmp_path / "out", "x"))
    assert found.columns.source == "source"
    assert found.column("source") == [None] * N + ["contributor-1"] * 12


def test_one_file_for_a_choice_of_rows(tmp_path: Path) -> None:
    data = load(_csv(tmp_path), **ASKED)  # type: ignore[arg-type]
    fewer = data.select([row for row in range(N) if row % 10])
    found = load(api.write_poisoned(api.attack(fewer, "copied-block(rate=0.1)"), tmp_path / "out", "x"), **ASKED)  # type: ignore[arg-type]
    assert len(found) == 108 + 11
    mixed = api.attack(data.select(np.random.default_rng(0).permutation(N)), "copied-block(rate=0.1)")
    assert api.write_poisoned(mixed, tmp_path / "mixed", "x").name == "data.parquet"


def test_other_tables_are_written_as_columns(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(N, 3))
    np.savez(tmp_path / "rows.npz", x=values, y=np.arange(N) % 2)
    poisoned = api.attack(load(tmp_path / "rows.npz"), "broken-cells(rate=0.05, kind='text')")
    table = pq.read_table(api.write_poisoned(poisoned, tmp_path / "out", "x"))
    assert table.schema.names == ["x0", "x1", "x2", "y"]


@pytest.mark.parametrize(
    ("example", "written"),
    [
        ("2024-01-01", "2024-05-31"),
        ("2024-01-01 10:00:00", "2024-05-31 14:00:00"),
        ("2024-01-01T10:00:00Z", "2024-05-31T14:00:00+00:00"),
        (1704103200, 1717164000),
        (1704103200000, 1717164000000),
        ("1704103200", "1717164000"),
        (20240101, 20240531),
        (dt.date(2024, 1, 1), dt.date(2024, 5, 31)),
        (None, dt.datetime(2024, 5, 31, 14, tzinfo=dt.UTC)),
    ],
)
def test_times_are_written_like_others(example: object, written: object) -> None:
    when = dt.datetime(2024, 5, 31, 14, tzinfo=dt.UTC)
    assert written_like(example, when) == written
    assert moment(written).date() == when.date()
