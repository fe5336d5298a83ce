"""Tables that a program holds: the same samples whatever holds them, and every column and type back from clean/."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.quarantine.cases import audited

from untaint.data.dataset import Dataset, from_arrays
from untaint.data.load import load
from untaint.errors import BadInput
from untaint.quarantine.hold import hold
from untaint.quarantine.restore import restore

N = 40
TABLE = pa.table(
    {
        "id": pa.array(range(N), pa.int64()),
        "amount": pa.array([row * 0.5 if row % 7 else None for row in range(N)]),
        "whole": pa.array([row % 5 for row in range(N)], pa.int16()),
        "city": pa.array([("Rome", "Oslo")[row % 2] for row in range(N)]).dictionary_encode(),
        "born": pa.array(np.datetime64("2024-01-01", "us") + np.arange(N) * np.timedelta64(1, "D")),
        "member": [row % 3 == 0 for row in range(N)],
        "vendor": [f"v{row % 4}" for row in range(N)],
        "blob": [b"x" * row for row in range(N)],
        "label": [("good", "bad")[row % 2] for row in range(N)],
    }
)
ROW = '{"amount": 0.5, "whole": 1, "city": "Oslo", "born": "2024-01-02 00:00:00", "member": false}'


def _relation(table: pa.Table) -> Any:
    duckdb = pytest.importorskip("duckdb")
    return duckdb.connect().from_arrow(table)


def _polars(table: pa.Table) -> Any:
    return pytest.importorskip("polars").from_arrow(table)


HOLDERS: dict[str, Callable[[pa.Table], Any]] = {
    "arrow": lambda table: table,
    "pandas": lambda table: table.to_pandas(),
    "pandas of Arrow types": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": _polars,
    "duckdb": _relation,
}
each = pytest.mark.parametrize("holder", HOLDERS)


@each
def test_the_same_samples(holder: str) -> None:
    data = load(HOLDERS[holder](TABLE))
    assert (data.modality, data.format, len(data)) == ("table", "memory", N)
    assert data.read([1])[0] == ROW
    assert data.ids == load(TABLE).ids
    assert (data.labels, data.column("source")) == (load(TABLE).labels, load(TABLE).column("source"))
    assert data.column("path") == [f"#{row}" for row in range(N)]


@each
def test_every_column_and_type_comes_back_from_clean(holder: str, tmp_path: Path) -> None:
    data = load(HOLDERS[holder](TABLE))
    hold(data, audited(data, (3, 4)), tmp_path / "out")
    clean = pq.read_table(tmp_path / "out" / "clean" / "data.parquet")
    assert clean.num_rows == N - 2
    restore(tmp_path / "out", ["all"])
    again = pq.read_table(tmp_path / "out" / "clean" / "data.parquet")
    assert again.to_pylist() == TABLE.to_pylist()
    given = data.store.whole.schema  # type: ignore[attr-defined]  # frames keep their table
    assert [str(kind).replace("large_", "") for kind in again.schema.types] == [
        str(kind).replace("large_", "")
        for kind in given.types  # Parquet has one kind of string
    ]


def test_a_frame_of_many_kinds_of_cells() -> None:
    cells: list[Any] = [1, "two", 3.5, None, Decimal("4.5"), dt.date(2024, 5, 31), True, [1, 2]]
    frame = pd.DataFrame({"odd": cells * 5, "x": range(40), "label": ["a", "b"] * 20})
    data = load(frame)
    assert [str(text).split(", ")[0] for text in data.read([0, 1, 2, 3, 4])] == [
        '{"odd": 1',
        '{"odd": "two"',
        '{"odd": 3.5',
        '{"odd": null',
        '{"odd": 4.5',
    ]


def test_two_columns_of_one_name() -> None:
    frame = pd.DataFrame([[1, 2, "a"], [3, 4, "b"]], columns=["x", "x", "label"])
    with pytest.raises(BadInput, match="two columns called 'x'"):
        load(frame)
    with pytest.raises(BadInput, match="two columns called 'x'"):
        load(pa.Table.from_arrays([[1, 2], [3, 4], ["a", "b"]], names=["x", "x", "label"]))


def _made(rows: list[str]) -> Dataset:
    labels = [("good", "bad")[row % 2] for row in range(len(rows))]
    return replace(from_arrays(rows, labels, sources=["s"] * len(rows)), modality="table")


def test_rows_without_a_frame_become_columns(tmp_path: Path) -> None:
    rows = [
        f'{{"x": {row}, "y": {row / 4}, "z": "w{row % 3}", "t": {str(row % 2 == 0).lower()}, "mixed": {row if row % 2 else row / 4}}}'
        for row in range(N)
    ]
    rows[3] = '{"x": null, "y": Infinity, "z": "Å\\ud800", "t": null, "mixed": 1}'
    data = _made(rows)
    hold(data, audited(data, (5, 6)), tmp_path / "out")
    restore(tmp_path / "out", ["all"])
    table = pq.read_table(tmp_path / "out" / "clean" / "data.parquet")
    kinds = {"x": pa.int64(), "y": pa.float64(), "z": pa.string(), "t": pa.bool_(), "mixed": pa.float64(), "label": pa.string()}
    assert {name: table.schema.field(name).type for name in kinds} == kinds
    assert table.slice(2, 1).to_pylist() == [
        {"x": 2, "y": 0.5, "z": "w2", "t": True, "mixed": 0.5, "label": "good", "source": "s"}
    ]


def test_arrays_become_columns(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(N, 3))
    data = load((values, [row % 2 for row in range(N)]))
    held = hold(data, audited(data, (5, 6)), tmp_path / "out")
    table = pq.read_table(held.clean / "data.parquet")
    assert table.schema.names == ["x0", "x1", "x2", "label"]
    assert np.array_equal(np.stack([table.column(i).to_numpy() for i in range(3)], 1), np.delete(values, (5, 6), 0))
