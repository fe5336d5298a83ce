import json
from dataclasses import replace

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.evidence.finding import AuditResult, Check
from untaint.report.base import Report
from untaint.report.folder import from_json, to_json
from untaint.report.v1 import EXAMPLES, document, ranked


def test_survives_a_round_trip(report: Report) -> None:
    assert from_json(to_json(report.document).encode(), "x") == report.document


def test_says_what_it_is_first(report: Report) -> None:
    data = json.loads(to_json(report.document))
    assert next(iter(data.items())) == ("schema", "untaint.audit/v1")
    assert list(data["findings"][0])[:4] == ["id", "kind", "severity", "confidence"]


def test_nan_becomes_null(result: AuditResult) -> None:
    odd = replace(
        result, environment={"x": float("nan"), "y": np.float32("inf"), "z": np.int64(3), "a": (1.0, {"b": float("-inf")})}
    )
    data = json.loads(to_json(document(odd)), parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert data["findings"][1]["p_value"] is None
    assert data["environment"] == {"x": None, "y": None, "z": 3, "a": [1.0, {"b": None}]}


def test_half_characters_are_kept_readable(result: AuditResult) -> None:
    odd = replace(result, checks=(Check("a", "a()", "failed", "lone \ud800 and nul \x00", 0.0),))
    written = to_json(document(odd))
    assert written.isascii()
    assert json.loads(written)["checks"][0]["reason"] == "lone \\ud800 and nul \x00"


def test_examples_are_the_riskiest_members(report: Report, result: AuditResult) -> None:
    risks = [example.risk or 0.0 for example in report.document.findings[0].examples]
    assert risks == sorted(risks, reverse=True)
    many = replace(result.verdict.findings[0], members=np.arange(150))
    told = document(replace(result, verdict=replace(result.verdict, findings=(many,)))).findings[0]
    assert (len(told.examples), told.n_samples) == (EXAMPLES, 150)


def test_samples_not_assessed_rank_last(result: AuditResult) -> None:
    assert ranked(result.samples, np.array([159, 0, 3]))[-1] == 159


def test_a_later_v1_may_add_fields(report: Report) -> None:
    data = json.loads(to_json(report.document))
    data["new"] = data["findings"][0]["new"] = {"x": 1}
    assert from_json(json.dumps(data).encode(), "x") == report.document


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema": "untaint.audit/v1", "verd', "cut short"),
        (b"", "cut short"),
        (b"\xff\xfe\x00", "cut short"),
        (b"[" * 100_000, "cut short"),
        (b"[]", "not an audit"),
        (b"{}", "not an audit"),
        (b'{"schema": 1}', "not an audit"),
        (b'{"schema": "croissant/v1"}', "not an audit"),
        (b'{"schema": "untaint.audit/v2"}', "written by a newer untaint"),
        (b'{"schema": "untaint.audit/v1"}', "damaged at 'verdict'"),
    ],
)
def test_says_what_is_wrong_with_a_file(content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        from_json(content, "audit.json")
