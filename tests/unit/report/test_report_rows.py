"""Rows of tables in a report: which columns are shown, what is marked, and that it stays text."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from untaint.data.dataset import Dataset, from_arrays
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import AuditResult, Check, Finding, Verdict
from untaint.report import pictures
from untaint.report.base import Report
from untaint.report.html import Html
from untaint.report.rows import COLUMNS, excerpt, parsed, spoken_of
from untaint.report.v1 import document

NAMES = ["age", "fee", "fee paid", "city", "a.b", *(f"x{number}" for number in range(20))]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("age = 37 and fee from 1 to 2 and city missing", ("age", "fee", "city")),
        ("fee paid = 'no' and a.b = 3", ("fee paid", "a.b")),
        ("One row is 58 times as far out as the next (fee = 1e+06, x3 = 4 and 2 more columns).", ("fee", "x3")),
        ("'?' is no number (column 'city')", ("city",)),
        ("Columns 'age' and others are the label once more", ("age",)),
        ("30 of 31 rows with city = 'Oslo' are labelled 'age'.", ("city",)),
        ("nothing of the kind", ()),
        ("aXb = 3", ()),
    ],
)
def test_the_columns_a_finding_speaks_of(said: str, wanted: tuple[str, ...]) -> None:
    assert spoken_of([said], NAMES) == wanted


def test_a_row_is_cut_to_a_few_columns_those_spoken_of_first() -> None:
    record = {name: float(place) for place, name in enumerate(NAMES)} | {"city": None, "x1": "long " * 50}
    row = parsed(excerpt(json.dumps(record), ["x9 = 14 and city missing"]))
    assert row is not None
    assert list(row.cells)[:4] == ["x9", "city", "age", "fee"]
    assert (len(row.cells), row.named, row.columns) == (COLUMNS, 2, 25)
    assert row.cells["x9"] == "14"
    assert row.cells["city"] == ""
    assert len(parsed(excerpt(json.dumps({"x1": "long " * 50}), []) or "").cells["x1"]) == 40  # type: ignore[union-attr]


@pytest.mark.parametrize("payload", ["no row", "[1, 2]", "{}", '{"a": ', "17", ""])
def test_what_is_no_row_stays_a_text(payload: str) -> None:
    assert excerpt(payload, []) == payload
    assert parsed(excerpt(payload, [])) is None


@pytest.mark.parametrize(
    "text", ["null", "[]", '{"cells": 5, "named": 1, "columns": 2}', '{"cells": {}, "named": "x", "columns": 1}']
)
def test_a_text_that_is_no_row_is_none(text: str) -> None:
    assert parsed(text) is None


def audit(cell: str) -> tuple[Dataset, AuditResult]:
    """60 rows of 10 columns, four of which are accused for city and x1."""
    rows = [json.dumps({"city": cell if row < 4 else "Bergen", **{f"x{n}": row + n for n in range(9)}}) for row in range(60)]
    made = replace(
        from_arrays(rows, ["safe"] * 60, sources=["mallory" if row < 4 else "bob" for row in range(60)]), modality="table"
    )
    members = np.arange(4)
    said = f"4 of 4 rows with city = '{cell}' and x1 from 1 to 4 are labelled 'safe'."
    trigger = Trigger("values", said, {"values": f"city = '{cell}' and x1 from 1 to 4"})
    found = Finding(
        "F1", "backdoor", "critical", "high", 1e-9, members, ("value-override",), said, "Look.", True, "safe", trigger=trigger
    )
    flagged = np.isin(np.arange(60), members)
    table = {
        "row": np.arange(60),
        "id": made.ids,
        "path": made.column("path"),
        "label": made.labels,
        "source": made.column("source"),
        "risk": np.where(flagged, 0.99, 0.1),
        "p_value": np.where(flagged, 1e-9, 0.5),
        "flagged": flagged,
        "finding": pa.array(["F1" if row < 4 else None for row in range(60)], pa.string()),
        "reason": pa.array([None] * 60, pa.string()),
        "suggested_label": pa.array([None] * 60, pa.string()),
        "unreadable": pa.array([None] * 60, pa.string()),
    }
    verdict = Verdict("poisoned", 0.01, 1e-9, (found,), (), "Bonferroni.")
    check = Check("value-override", "value-override", "ran", "", 0.1)
    return made, AuditResult(verdict, (check,), pa.table(table), 60, 4, 0, {"modality": "table"}, {}, {})


def page(cell: str) -> str:
    made, result = audit(cell)
    return Html().render(Report(document(result), result.samples, pictures.choose(result, made)))


def test_accused_rows_are_a_table_with_the_values_marked() -> None:
    shown = page("Oslo")
    assert '<th class="spoken">city</th><th class="spoken">x1</th><th>x0</th>' in shown
    assert shown.count("<td><mark>Oslo</mark></td>") == 4
    assert "<td><mark>Bergen</mark></td>" not in shown
    assert "<td>Bergen</td>" in shown
    assert "<td>mallory</td>" in shown
    assert "4 more columns not shown" in shown
    assert "{&#34;" not in shown  # no JSON


def test_hostile_cells_stay_text() -> None:
    shown = page("<script>alert(1)</script>\u202e")
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in shown
