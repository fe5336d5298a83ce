"""DuckDB files and queries: what is read, and that a hostile file or query reaches nothing else."""

from pathlib import Path
from typing import Any

import pytest

from untaint.data.load import load
from untaint.errors import BadInput, MissingExtra

duckdb = pytest.importorskip("duckdb")
N = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "loans.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE loans AS SELECT i AS id, (i * 0.5)::DECIMAL(9, 2) AS amount, ['Rome', 'Oslo'][i % 2 + 1] AS city,"
            " DATE '2024-01-01' + i::INT AS born, i % 5 > 2 AS label FROM range(60) r(i)"
        )
    return tmp_path / "loans.duckdb"


def change(path: Path, sql: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


def test_the_only_table_is_read(path: Path) -> None:
    data = load(path)
    assert (len(data), data.modality, data.format) == (N, "table", "duckdb")
    assert data.read([3, 2]) == [
        '{"amount": 1.5, "city": "Oslo", "born": "2024-01-04"}',
        '{"amount": 1, "city": "Rome", "born": "2024-01-03"}',
    ]
    assert "table: 'loans' (the only one)" in data.notes
    assert [file.name for file in path.parent.iterdir()] == ["loans.duckdb"]


def test_a_query_makes_the_rows(path: Path) -> None:
    query = "SELECT city, amount * 2 AS twice, label FROM loans WHERE amount > 10 ORDER BY amount DESC"
    data = load(path, query=query)
    assert len(data) == N - 21
    assert data.read([0]) == ['{"city": "Oslo", "twice": 59}']
    assert "query (as asked)" in data.notes


def test_several_tables_and_views(path: Path) -> None:
    change(
        path, "CREATE SCHEMA old; CREATE TABLE old.loans AS FROM main.loans LIMIT 30; CREATE VIEW few AS FROM main.loans LIMIT 20"
    )
    with pytest.raises(BadInput, match="several tables: 'loans', 'old.loans'.*--table loans"):
        load(path)
    assert len(load(path, table="old.loans")) == 30
    with pytest.raises(BadInput, match="no table 'loan'.*Did you mean --table loans"):
        load(path, table="loan")
    with pytest.raises(BadInput, match="'few' is a view.*--query 'FROM few'"):
        load(path, table="few")
    assert len(load(path, query="FROM few")) == 20
    with pytest.raises(BadInput, match="a table and a query are both named"):
        load(path, query="FROM few", table="loans")


def test_types_no_file_holds_become_text(path: Path) -> None:
    change(path, "ALTER TABLE loans ADD COLUMN span INTERVAL DEFAULT INTERVAL 3 DAYS")
    assert '"span": "3 days"' in str(load(path).read([0])[0])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM read_text('{secret}')", "file system operations are disabled.*nothing else"),
        ("SELECT * FROM '{secret}'", "file system operations are disabled"),
        ("SELECT *, 1 AS label FROM glob('{folder}/*')", "file system operations are disabled"),
        ("COPY loans TO '{folder}/out.csv'", "a query is one SELECT, this is COPY"),
        ("ATTACH '{folder}/other.db'", "a query is one SELECT"),
        ("SET enable_external_access = true", "a query is one SELECT"),
        ("SELECT 1 AS label; DROP TABLE loans", "a query is one SELECT, this is SELECT and DROP"),
        ("INSTALL httpfs", "a query is one SELECT"),
        ("CREATE TABLE x AS SELECT 1", "a query is one SELECT"),
        ("SELECT * FROM secret_frame", "does not exist"),
        ("SELEC 1", "syntax error"),
        ("", "this is nothing"),
    ],
)
def test_a_query_reaches_nothing_else(query: str, message: str, path: Path) -> None:
    import pyarrow as pa

    secret_frame: Any = pa.table({"x": [1]})  # a variable that a query must not find
    (path.parent / "secret.csv").write_text("x,label\n1,a\n2,b\n")
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(BadInput, match=message):
        load(path, query=query.format(secret=path.parent / "secret.csv", folder=path.parent))
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    assert secret_frame.num_rows == 1


def test_a_view_in_the_file_reaches_nothing_else(path: Path) -> None:
    (path.parent / "secret.csv").write_text("x,label\n1,a\n2,b\n")
    change(path, f"CREATE VIEW spy AS FROM read_csv('{path.parent}/secret.csv')")
    with pytest.raises(BadInput, match="file system operations are disabled"):
        load(path, query="FROM spy")


def test_files_that_are_none(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    (tmp_path / "short.duckdb").write_bytes(whole[:6000])
    (tmp_path / "random.duckdb").write_bytes(b"\7\1" * 4000)
    (tmp_path / "empty.duckdb").touch()
    with duckdb.connect(str(tmp_path / "bare.duckdb")):
        pass
    for name, message in (
        ("short", "cannot be read: .*export it as Parquet"),
        ("random", "not a valid DuckDB database file"),
        ("empty", "is an empty file"),
        ("bare", "holds no table"),
    ):
        with pytest.raises(BadInput, match=message):
            load(tmp_path / f"{name}.duckdb")


def test_a_file_this_program_has_open(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        with pytest.raises(BadInput, match="is open in this program already"):
            load(path)
        assert len(load(connection.sql("FROM loans"))) == N


def test_a_relation(path: Path) -> None:
    with duckdb.connect(str(path), read_only=True) as connection:
        data = load(connection.sql("FROM loans ORDER BY id DESC"), label="label")
        with pytest.raises(BadInput, match="expected a relation"):
            load(connection)
    assert (len(data), data.format, data.labels[0]) == (N, "memory", "True")
    assert data.read([0]) == ['{"amount": 29.5, "city": "Oslo", "born": "2024-02-29"}']


def test_without_the_package(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(MissingExtra, match=r"untaint\[duckdb\]"):
        load(path)
