"""Schemas of tables: inferred, written, read again, checked on other data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from untaint import api
from untaint.data.dataset import Dataset, from_arrays
from untaint.data.schema import Pinned, Schema, checked, infer, read
from untaint.errors import BadInput, CannotWrite

N = 200
LABELS = ["good" if row % 3 else "bad" for row in range(N)]
NUMBERS = (10 + np.random.default_rng(0).random(N)).tolist()
COLUMNS: Mapping[str, Sequence[object]] = {
    "weight": NUMBERS,
    "new": [row % 2 == 0 for row in range(N)],
    "shape": [("round", "flat", "oval")[row % 7 % 3] for row in range(N)],
    "day": [f"2024-05-{1 + row % 30:02}" for row in range(N)],
    "number": list(range(N)),
    "gaps": [None if row % 10 == 0 else row % 9 for row in range(N)],
}


def quiet(_what: str, _done: int, _total: int) -> None:
    return


def table(changes: Mapping[tuple[int, str], object] | None = None, columns: Mapping[str, Sequence[object]] = COLUMNS) -> Dataset:
    """The table, some cells changed."""
    rows = [{name: values[row] for name, values in columns.items()} for row in range(N)]
    for (row, name), value in (changes or {}).items():
        rows[row][name] = value
    return replace(from_arrays([json.dumps(row) for row in rows], LABELS), modality="table")


def told(changes: Mapping[tuple[int, str], object]) -> dict[int, str | None]:
    """What the schema of the table says of the table with those cells."""
    found = checked(table(changes), infer(table(), quiet), quiet).column("unreadable")
    return {row: why for row, why in enumerate(found) if why is not None}


def test_what_is_inferred() -> None:
    weight, new, shape, day, number, gaps, label = infer(table(), quiet).columns
    assert (weight.kind, new.kind, shape.kind, day.kind, number.kind) == ("number", "boolean", "category", "date", "number")
    assert weight.seen == (min(NUMBERS), max(NUMBERS))
    assert weight.minimum == pytest.approx(2 * min(NUMBERS) - max(NUMBERS))
    assert weight.maximum == pytest.approx(2 * max(NUMBERS) - min(NUMBERS))
    assert shape.words == ("flat", "oval", "round")
    assert (gaps.missing, gaps.may_be_missing, gaps.minimum) == (0.1, True, 0.0)
    assert (weight.missing, weight.may_be_missing) == (0.0, False)
    assert day.maximum is None
    assert number.left_out == "has another value in every row, as an id has"
    assert number.maximum is None
    assert (label.role, label.words) == ("label", ("bad", "good"))


def test_the_data_keep_to_their_own_schema() -> None:
    assert told({}) == {}


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("weight", 1e6, "schema: 1000000 is outside 9.0"),
        ("weight", "heavy", "schema: 'heavy' is no number (column 'weight')"),
        ("weight", None, "schema: is missing (column 'weight')"),
        ("weight", float("inf"), "schema: not finite (column 'weight')"),
        ("shape", "square", "schema: 'square' is none of its 3 words (column 'shape')"),
        ("day", "soon", "schema: 'soon' is no date (column 'day')"),
        ("new", 7, "schema: is no boolean (column 'new')"),
        ("gaps", -30, "schema: -30 is outside 0 to 16 (column 'gaps')"),
    ],
)
def test_a_cell_out_of_schema_is_told_with_its_column(column: str, value: object, why: str) -> None:
    found = told({(7, column): value})
    assert list(found) == [7]
    assert str(found[7]).startswith(why)


def test_ids_and_dates_may_be_new_and_gaps_may_be_missing() -> None:
    assert told({(7, "number"): 10**7, (8, "day"): "2031-01-01", (9, "gaps"): None}) == {}


def test_a_column_of_another_kind_is_told_in_every_row() -> None:
    schema = infer(table(), quiet)
    other = table(columns={**COLUMNS, "weight": ["a", "b"] * (N // 2)})
    with pytest.raises(BadInput, match="no row keeps to the schema; the first: schema: 'a' is no number .column 'weight'"):
        checked(other, schema, quiet)


def test_truths_fit_whether_they_are_written_in_words_or_not() -> None:
    written: dict[str, Sequence[object]] = {**COLUMNS, "new": [str(value) for value in COLUMNS["new"]]}
    schema, in_words = infer(table(), quiet), infer(table(columns=written), quiet)
    assert in_words.columns[1] == schema.columns[1]
    as_words = replace(schema, columns=(*(replace(each, kind="category") for each in schema.columns[1:2]), *schema.columns[2:]))
    for one in (schema, as_words):  # older files have truths as words
        assert checked(table(columns=written), one, quiet).index.column("unreadable").null_count == N
    found = checked(table({(7, "new"): "perhaps"}, written), schema, quiet).column("unreadable")
    assert [why for why in found if why is not None] == ["schema: 'perhaps' is no boolean (column 'new')"]


def test_a_label_out_of_schema_is_told() -> None:
    labels = ["odd" if row == 5 else label for row, label in enumerate(LABELS)]
    rows = [str(row) for row in table().read(np.arange(N))]
    found = checked(replace(from_arrays(rows, labels), modality="table"), infer(table(), quiet), quiet)
    assert found.column("unreadable")[5] == "schema: 'odd' is none of its 2 words (label 'label')"


def test_columns_that_lack_or_are_new() -> None:
    schema = infer(table(), quiet)
    fewer = table(columns={name: values for name, values in COLUMNS.items() if name != "shape"})
    with pytest.raises(BadInput, match="the data lack column 'shape'"):
        checked(fewer, schema, quiet)
    more = checked(table(columns={**COLUMNS, "extra": NUMBERS}), schema, quiet)
    assert more.notes[-1] == "not in the schema: 'extra'"


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    schema = infer(table(), quiet)
    (tmp_path / "s.json").write_text(schema.text())
    assert read(tmp_path / "s.json") == schema


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a schema"),
        ("[]", "is no schema of untaint"),
        ('{"schema": "other"}', "is no schema of untaint"),
        ('{"schema": "untaint.schema/v1"}', "is not a schema: 'columns'"),
        ('{"schema": "untaint.schema/v1", "columns": []}', "pins no column"),
        ('{"schema": "untaint.schema/v1", "columns": [{"name": "a", "kind": "colour"}]}', "kind or role that is not known"),
        ('{"schema": "untaint.schema/v1", "columns": [{"name": "a", "kind": "number", "size": 3}]}', "is not a schema"),
        (
            '{"schema": "untaint.schema/v1", "columns": [{"name": "a", "kind": "number", "maximum": "9"}]}',
            "a limit of 'a' is no number",
        ),
        ('{"schema": "untaint.schema/v1", "columns": [{"name": "a", "kind": "category", "words": [1]}]}', "are not all texts"),
    ],
)
def test_a_file_that_is_no_schema_is_refused(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(BadInput, match=why):
        read(tmp_path / "s.json")


def test_texts_have_no_schema() -> None:
    with pytest.raises(BadInput, match="a schema is of a table, this set holds text data"):
        infer(from_arrays(["one", "two"], ["a", "b"]), quiet)


def test_an_audit_with_a_schema_says_which_cells_break_it(tmp_path: Path) -> None:
    api.schema(table(), out=tmp_path / "s.json")
    found = api.audit(table({(7, "weight"): 99.0}), schema=tmp_path / "s.json", budget="fast")
    (told,) = [finding for finding in found.verdict.findings if "unfit-cells" in finding.detectors]
    assert told.kind == "outlier"
    assert not told.alarm
    assert told.members.tolist() == [7]
    assert "row 7: schema: 99 is outside" in told.explanation
    assert found.n_unreadable == 1


def test_no_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("mine")
    with pytest.raises(CannotWrite, match="is there already"):
        api.schema(table(), out=tmp_path / "s.json")
    assert (tmp_path / "s.json").read_text() == "mine"


def test_a_schema_may_be_written_by_hand() -> None:
    schema = Schema((Pinned("weight", "number", minimum=0.0),))
    found = checked(table({(3, "weight"): -1.0}), schema, quiet).column("unreadable")
    assert [row for row, why in enumerate(found) if why] == [3]
