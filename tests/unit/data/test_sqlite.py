"""SQLite files: what is read, what is refused, and that nothing is written or run."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from untaint.data.load import load
from untaint.errors import BadInput

N = 60


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        yield connection
        connection.commit()


def loans(connection: sqlite3.Connection, name: str = "loans") -> None:
    connection.execute(f'CREATE TABLE "{name}" (id INTEGER PRIMARY KEY, amount REAL, city TEXT, sender TEXT, label TEXT)')
    rows = [(row, row * 0.5, ("Rome", "Oslo")[row % 2], f"s{row % 3}", ("good", "bad")[row % 5 > 2]) for row in range(N)]
    connection.executemany(f'INSERT INTO "{name}" VALUES (?, ?, ?, ?, ?)', rows)  # noqa: S608 - a name of ours


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with database(tmp_path / "loans.db") as connection:
        loans(connection)
    return tmp_path / "loans.db"


def alone(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def test_the_only_table_is_read(path: Path) -> None:
    data = load(path, source="sender")
    assert (len(data), data.modality, data.format, data.columns.table) == (N, "table", "sqlite", "loans")
    assert data.read([3])[0] == '{"amount": 1.5, "city": "Oslo"}'
    assert (data.labels[3], data.column("source")[3], data.column("path")[3]) == ("bad", "s0", "loans#3")
    assert "table: 'loans' (the only one)" in data.notes
    assert "without 'id'" in data.columns.note
    assert alone(path) == ["loans.db"]


def test_rows_are_found_wherever_they_lie(tmp_path: Path) -> None:
    with database(tmp_path / "many.db") as connection:
        connection.execute("CREATE TABLE t (x INTEGER, label TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(row, "ab"[row % 2]) for row in range(10_000)])
        connection.execute("DELETE FROM t WHERE x % 7 = 0")
    data = load(tmp_path / "many.db")
    kept = [row for row in range(10_000) if row % 7]
    asked = np.random.default_rng(0).permutation(len(kept))[:500]
    assert data.read(asked) == [f'{{"x": {kept[row]}}}' for row in asked]


@pytest.mark.parametrize("declared", ["(a TEXT COLLATE NOCASE, b INTEGER, x REAL, label TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID"])
def test_a_table_without_row_numbers(declared: str, tmp_path: Path) -> None:
    with database(tmp_path / "t.db") as connection:
        connection.execute(f"CREATE TABLE t {declared}")
        rows = [(f"{'kK'[row % 2]}{row // 8:05}", row % 8, row * 0.5, "uv"[row % 2]) for row in range(6_000)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    data = load(tmp_path / "t.db")
    assert data.read([0, 5_999, 4_100]) == [
        f'{{"a": "{rows[i][0]}", "b": {rows[i][1]}, "x": {rows[i][2]}}}' for i in (0, 5_999, 4_100)
    ]


def test_columns_called_like_row_numbers(tmp_path: Path) -> None:
    with database(tmp_path / "t.db") as connection:
        connection.execute('CREATE TABLE t (rowid TEXT, "_rowid_" TEXT, "we""ird" REAL, label TEXT)')
        connection.executemany("INSERT INTO t VALUES ('a', 'b', ?, ?)", [(row, "ab"[row % 2]) for row in range(9)])
    assert load(tmp_path / "t.db").read([4]) == ['{"rowid": "a", "_rowid_": "b", "we\\"ird": 4.0}']
    with database(tmp_path / "t.db") as connection:
        connection.execute("ALTER TABLE t ADD COLUMN oid")
    with pytest.raises(BadInput, match="no number that can be asked for"):
        load(tmp_path / "t.db")


def test_several_tables_need_a_choice(path: Path) -> None:
    with database(path) as connection:
        connection.execute('CREATE TABLE "other ""one""" (x, label)')
        connection.execute("CREATE INDEX i ON loans (city)")
    with pytest.raises(BadInput, match="several tables: 'loans', 'other \"one\"'.*--table loans"):
        load(path)
    assert len(load(path, table="loans")) == N
    with pytest.raises(BadInput, match="no table 'loan'.*Did you mean --table loans"):
        load(path, table="loan")
    with pytest.raises(BadInput, match="is empty: no row"):
        load(path, table='other "one"')


def test_a_table_is_asked_only_of_databases(tmp_path: Path, path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,label\n1,a\n2,b\n")
    for asked in ({"table": "t"}, {"query": "SELECT 1"}):
        with pytest.raises(BadInput, match="to choose.*which is for databases"):
            load(tmp_path / "t.csv", **asked)
        with pytest.raises(BadInput, match="objects in Python have no"):
            load((np.zeros((4, 2)), [0, 1, 0, 1]), **asked)
    with pytest.raises(BadInput, match="format sqlite have no query"):
        load(path, query="SELECT * FROM loans")


def test_mixed_cells_stay_apart(tmp_path: Path) -> None:
    with database(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (number, whole, big, odd, lost, label)")
        cells = [(row * 0.5, row, 2**60 + row, row, None, "ab"[row % 2]) for row in range(30)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", cells)
        connection.execute("UPDATE t SET odd = x'00ff', big = 0.5 WHERE whole = 3")
        connection.execute("UPDATE t SET odd = 'a word', number = 9e999 WHERE whole = 4")
    data = load(tmp_path / "t.db")
    first, third, fourth = data.read([0, 3, 4])
    assert first == f'{{"number": 0.0, "whole": 0, "big": {2**60}, "odd": 0, "lost": null}}'
    assert '"big": 0.5, "odd": "X\'00ff\'"' in str(third)
    assert '"odd": "a word"' in str(fourth)
    assert [row for row, why in enumerate(data.column("unreadable")) if why] == [4]


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    with database(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (word, label)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [("thé", "ab"[row % 2]) for row in range(30)])
        connection.execute("UPDATE t SET word = CAST(x'636166e9' AS TEXT) WHERE rowid = 4")
    assert load(tmp_path / "t.db").read([3]) == ['{"word": "caf\\\\xe9"}']


def test_nothing_the_file_computes_is_run(tmp_path: Path) -> None:
    forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, 'a' AS label FROM n"
    with database(tmp_path / "t.db") as connection:
        connection.execute(f"CREATE VIEW endless AS {forever}")
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (x)")
    with pytest.raises(BadInput, match="holds no table, only 'words', 'endless'|holds no table, only 'endless', 'words'"):
        load(tmp_path / "t.db")
    for name in ("endless", "words"):
        with pytest.raises(BadInput, match="nothing in a file is run"):
            load(tmp_path / "t.db", table=name)
    with database(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (x, twice AS (x * 2), label)")
        connection.executemany("INSERT INTO t (x, label) VALUES (?, ?)", [(row, "ab"[row % 2]) for row in range(9)])
        connection.execute("CREATE TRIGGER bad AFTER INSERT ON t BEGIN DELETE FROM t; END")
    data = load(tmp_path / "t.db")
    assert data.read([4]) == ['{"x": 4}']
    assert "left out, as the file computes them: 'twice'" in data.notes


def test_files_that_are_none(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    (tmp_path / "empty.db").touch()
    (tmp_path / "encrypted.db").write_bytes(os.urandom(8192))
    (tmp_path / "short.db").write_bytes(whole[:1500])
    (tmp_path / "head.db").write_bytes(whole[:50])
    broken = bytearray(whole)
    broken[len(whole) // 2 : len(whole) // 2 + 3000] = b"\xff" * 3000
    (tmp_path / "broken.db").write_bytes(broken)
    with database(tmp_path / "bare.db") as connection:
        connection.execute("PRAGMA user_version = 3")
    for name, message in (
        ("empty", "is an empty file"),
        ("encrypted", "no SQLite database, or an encrypted one"),
        ("short", "truncated or broken"),
        ("head", "truncated or broken"),
        ("broken", "truncated or broken"),
        ("bare", "holds no table"),
    ):
        with pytest.raises(BadInput, match=message):
            load(tmp_path / f"{name}.db")


def test_a_locked_database(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("untaint.data.readers._sqlite._PATIENCE", 0.05)
    with database(path) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BadInput, match="is locked by another program"):
            load(path)


def test_a_write_ahead_log_is_read_and_none_is_made(path: Path) -> None:
    with database(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert len(load(path)) == N
    assert alone(path) == ["loans.db"]
    with database(path) as connection:
        connection.execute("INSERT INTO loans VALUES (999, 1.5, 'Rome', 's1', 'bad')")
        connection.commit()
        assert len(load(path)) == N + 1


def test_a_file_that_changes_meanwhile(path: Path) -> None:
    data = load(path)
    with database(path) as connection:
        connection.execute("DELETE FROM loans WHERE id > 20")
    with pytest.raises(BadInput, match="has changed since it was indexed"):
        data.read([0])
