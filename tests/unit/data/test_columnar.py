"""Columns read whole give the same texts, ids, reasons and cells as one row after another."""

import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.same import assert_same

from untaint.data.columns import Column, columns_of
from untaint.data.dataset import Dataset, MemoryStore, content_id
from untaint.data.load import load
from untaint.data.readers import _chunks, _columnar
from untaint.data.readers._columnar import cell_texts, digests, in_pieces, part, row_texts
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._recipe import Recipe, table_row
from untaint.errors import BadInput

MANY = 1_200
RNG = np.random.default_rng(0)
FLOATS = [
    0.0,
    -0.0,
    1.0,
    100.0,
    1e15,
    1e16,
    123456789012345680.0,
    1e-4,
    1e-5,
    1.5e-7,
    5e-324,
    1.7e308,
    0.1 + 0.2,
    999999999999999.9,
]
TEXTS = [
    *(
        "1",
        "-1",
        "-0",
        "007",
        "1.50",
        "10.0",
        "0.0",
        "-0.00",
        "0.00001",
        "0.0001",
        "00.5",
        ".5",
        "5.",
        "1e3",
        "1E-7",
        "+4",
        " 7",
        "1_000",
    ),
    *(
        "123456789012345678",
        "1234567890123456789012",
        "0.1234567890123456789",
        "12345678901234.5",
        "0x1F",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
    ),
    *(
        "",
        "n/a",
        "Infinity is far",
        'a "quoted" word',
        "zwölf",
        "\u2028",
        "tab\t",
        "true",
        "1,5",
        "９",
        "2024-05-31",
        "1e400",
        "9" * 400,
    ),
]
COLUMNS: dict[str, pa.Array] = {
    "floats": pa.array(FLOATS),
    "many floats": pa.array([*RNG.normal(size=MANY), *FLOATS]),
    "large and small": pa.array(RNG.normal(size=MANY) * 10.0 ** RNG.integers(-20, 20, MANY)),
    "rounded": pa.array(np.round(RNG.normal(size=MANY) * 1000, 2)),
    "few floats": pa.array([1.5, 2.0, None] * 500),
    "two zeros": pa.array([0.0, -0.0, None] * 500),
    "not finite": pa.array([np.nan, np.inf, -np.inf, None, 1.5]),
    "many not finite": pa.array([*RNG.normal(size=MANY), np.nan, -np.inf, None]),
    "single": pa.array(RNG.normal(size=MANY).astype(np.float32)),
    "half": pa.array(RNG.normal(size=20).astype(np.float16)),
    "whole": pa.array([1, -5, 2**62, None]),
    "many whole": pa.array(RNG.integers(-(2**60), 2**60, MANY)),
    "small whole": pa.array(RNG.integers(0, 9, MANY).astype(np.uint8)),
    "unsigned": pa.array([2**64 - 1, 0], pa.uint64()),
    "truths": pa.array([True, False, None] * 5),
    "nothing": pa.nulls(5),
    "texts": pa.array([*TEXTS, None]),
    "many texts": pa.array([*(f"{value:.6g}" for value in RNG.normal(size=MANY)), *TEXTS, None]),
    "written floats": pa.array([*map(repr, RNG.normal(size=MANY).tolist()), None]),
    "written money": pa.array([f"{value:.2f}" for value in np.exp(RNG.normal(size=MANY) * 5)]),
    "written whole": pa.array([str(value) for value in RNG.integers(-(10**15), 10**15, MANY)]),
    "few texts": pa.array(["yes", "no", "1", "2.50", None, ""] * 300),
    "large texts": pa.array(TEXTS, pa.large_string()),
    "coded": pa.array(["a", None, "1.0", "a"]).dictionary_encode(),
    "coded numbers": pa.array([1.0, None, 2.5, 1.0]).dictionary_encode(),
    "times": pa.array([dt.datetime(2024, 5, 31, 12, tzinfo=dt.UTC), None]),
    "nanoseconds": pa.array([1_700_000_000_000_000_000, None], pa.timestamp("ns")),
    "dates": pa.array([dt.date(2024, 5, 31), dt.date(1, 1, 1)]),
    "decimals": pa.array([Decimal("1.50"), Decimal("2.00"), None]),
    "lists": pa.array([[1, 2], None, []]),
    "bytes": pa.array([b"a", None, b"\xff"]),
}


def naive_texts(column: pa.Array) -> tuple[list[str], list[bool]]:
    said = [table_row({"": value}) for value in column.to_pylist()]
    return [str(text)[5:-1] for text, _ in said], [reason is not None for _, reason in said]


@pytest.mark.parametrize("name", COLUMNS)
def test_texts_are_those_of_one_row_after_another(name: str) -> None:
    texts, infinite = cell_texts(COLUMNS[name])
    expected, far = naive_texts(COLUMNS[name])
    assert texts.to_pylist() == expected
    assert (np.zeros(len(far), bool) if infinite is None else infinite).tolist() == far


@pytest.mark.parametrize("name", COLUMNS)
def test_parts_are_what_json_has(name: str) -> None:
    found = part(COLUMNS[name])
    codes = np.full(len(COLUMNS[name]), -1) if found.codes is None else found.codes
    for row, text in enumerate(naive_texts(COLUMNS[name])[0]):
        value = json.loads(text)
        assert (found.words[codes[row]] if codes[row] >= 0 else None) == (None if isinstance(value, int | float) else value)
        assert bool(found.wild[row]) == (isinstance(value, int | float) and not np.isfinite(as_float(value)))
        assert repr(float(found.numbers[row])) == repr(as_float(value))
    if found.truths:
        assert all(value is None or isinstance(value, bool) for value in map(json.loads, naive_texts(COLUMNS[name])[0]))


def as_float(value: object) -> float:
    if not isinstance(value, int | float):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")


@given(st.lists(st.one_of(st.none(), st.floats()), min_size=1))
def test_any_numbers(values: list[float | None]) -> None:
    column = pa.array(values, pa.float64())
    assert cell_texts(column)[0].to_pylist() == naive_texts(column)[0]


@given(
    st.lists(st.one_of(st.text(st.sampled_from("0123456789.-+eE_ ")), st.floats().map(repr), st.integers().map(str)), min_size=1)
)
def test_any_written_numbers(values: list[str]) -> None:
    column = pa.array(values, pa.string())
    texts, infinite = cell_texts(column)
    assert texts.to_pylist() == naive_texts(column)[0]
    assert repr(part(column).numbers.tolist()) == repr([as_float(json.loads(text)) for text in naive_texts(column)[0]])
    assert (infinite is not None and bool(infinite.any())) == any(naive_texts(column)[1])


def test_rows_and_their_ids() -> None:
    columns: dict[str, Any] = {'a "name"': [1.5, np.inf, None], "b": ["x", "-Infinity", "Infinity?"], "c": [True, None, False]}
    rows = pa.record_batch(columns)
    texts, reasons = row_texts(rows, rows.schema.names)
    expected = [table_row(record) for record in rows.to_pylist()]
    assert texts.to_pylist() == [text for text, _ in expected]
    assert reasons == {1: "not finite (column 'a \"name\"')"}
    assert [reason for _, reason in expected] == [None, reasons[1], None]
    for some in (texts, texts.slice(1)):
        assert digests(some).to_pylist() == [content_id(text) for text in some.to_pylist()]


def test_heavy_batches_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_columnar, "_HEAVY", 100)
    rows = pa.record_batch({"a": list(range(40))})
    assert len(in_pieces(rows)) > 3
    assert pa.Table.from_batches(in_pieces(rows)).to_pylist() == rows.to_pylist()


def odd_table() -> pa.Table:
    """Rows of every kind, more than are read at once in the tests below."""
    rng = np.random.default_rng(1)
    count = 700
    number = rng.normal(size=count)
    number[[5, 600]] = np.nan
    number[7] = np.inf
    written = [f"{value:.3g}" for value in rng.normal(size=count)]
    written[9], written[10], written[11] = "n/a", "oops", ""
    columns: dict[str, Any] = {
        "number": number,
        "often missing": pa.array(np.where(rng.random(count) < 0.2, np.nan, number[::-1])),
        "holes": pa.array(number, mask=rng.random(count) < 0.1),
        "written": written,
        "word": [f"word {place}" for place in rng.integers(0, 300, count)],
        "mixed": [str(place) if place % 3 else f"w{place}" for place in rng.integers(0, 50, count)],
        "truth": rng.random(count) < 0.5,
        "day": [f"2024-05-{place:02}" for place in rng.integers(1, 30, count)],
        "when": pa.array(rng.integers(0, 10**15, count), pa.timestamp("us")),
        "nothing": pa.nulls(count, pa.float64()),
        "label": [("a", "b")[code] for code in rng.integers(0, 2, count)],
        "source": pa.array(rng.integers(0, 5, count)),
        "collected_at": pa.array(rng.integers(0, 10**9, count), pa.timestamp("s", "Europe/Berlin")),
    }
    return pa.table(columns)


def one_by_one(table: pa.Table, monkeypatch: pytest.MonkeyPatch) -> tuple[Dataset, list[Column]]:
    """The same rows, one record after another."""
    monkeypatch.setattr(_chunks, "index_rows", _each)
    found = load(table)
    monkeypatch.undo()
    plain = replace(found, store=MemoryStore(found.read(range(len(found)))))
    return plain, columns_of(plain, quiet)


def _each(batches: Any, recipe: Recipe, builder: IndexBuilder, name: str) -> int:
    row = 0
    for batch in batches:
        for record in batch.to_pylist():
            recipe.add(builder, record, f"{name}#{row}")
            row += 1
    return row


def quiet(_what: str, _done: int, _total: int) -> None:
    return


def test_an_index_and_its_columns_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    table = odd_table()
    expected, columns = one_by_one(table, monkeypatch)
    monkeypatch.setattr(_columnar, "ROWS", 128)
    found = load(table)
    assert found.index.equals(expected.index)
    assert found.digest == expected.digest
    assert found.runs() is not None
    assert expected.runs() is None
    assert_same(columns_of(found, quiet), columns)


def test_views_have_columns_too(monkeypatch: pytest.MonkeyPatch) -> None:
    table = odd_table()
    expected, _ = one_by_one(table, monkeypatch)
    monkeypatch.setattr(_columnar, "ROWS", 128)
    found = load(table)
    rows = np.arange(len(found))[20::2]
    text = found.read([3])[0].replace("word", "w0rd")  # type: ignore[union-attr,arg-type]
    for change in (lambda data: data.select(rows), lambda data: data.edited({4: text}, {5: "b"}).select(rows // 2), added):
        assert change(found).runs() is not None
        assert_same(columns_of(change(found), quiet), columns_of(change(expected), quiet))
    assert found.select([1, 1]).runs() is None


def added(data: Dataset) -> Dataset:
    return data.extended([data.read([0])[0]], ["a"], [None]).select(np.arange(3, 701))


def test_bad_times_are_told_the_same_way() -> None:
    table = odd_table().set_column(12, "collected_at", pa.array(["2024-05-31", "soon"] + ["2024-05-31"] * 698))
    found = load(table, time="collected_at")
    assert "1 values are no times" in " ".join(found.notes)
    assert found.index.column("collected_at").null_count == 1


def test_times_no_calendar_knows_are_refused() -> None:
    table = odd_table().set_column(8, "when", pa.array([2**62] * 700, pa.timestamp("s")))
    with pytest.raises(BadInput, match="cannot be read"):
        load(table)
