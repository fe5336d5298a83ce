import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from untaint.evidence.finding import AuditResult
from untaint.report.base import Report
from untaint.report.sarif import Sarif
from untaint.report.v1 import document

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "sarif-schema-2.1.0.json").read_text("utf-8"))


def log(result: AuditResult) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(Sarif().render(Report(document(result), result.samples, {})))
    jsonschema.Draft4Validator(SCHEMA).validate(parsed)
    run: dict[str, Any] = parsed["runs"][0]
    return run


def test_follows_the_standard(result: AuditResult, clean: AuditResult) -> None:
    assert len(log(result)["results"]) == 2
    assert log(clean)["results"] == []


def test_an_accusation_fails_and_a_review_list_asks(result: AuditResult) -> None:
    backdoor, review = log(result)["results"]
    assert (backdoor["level"], backdoor.get("kind")) == ("error", None)
    assert (review["level"], review["kind"]) == ("none", "review")


@pytest.mark.parametrize(
    ("severity", "level"), [("critical", "error"), ("high", "error"), ("medium", "warning"), ("low", "note"), ("info", "note")]
)
def test_level_follows_severity(severity: Any, level: str, result: AuditResult) -> None:
    finding = replace(result.verdict.findings[0], severity=severity)
    assert log(replace(result, verdict=replace(result.verdict, findings=(finding,))))["results"][0]["level"] == level


def test_a_result_points_at_its_rule(result: AuditResult) -> None:
    run = log(result)
    for found in run["results"]:
        assert run["tool"]["driver"]["rules"][found["ruleIndex"]]["id"] == found["ruleId"]


def test_the_riskiest_sample_is_the_location_and_the_rest_related(result: AuditResult) -> None:
    backdoor = log(result)["results"][0]
    assert len(backdoor["locations"]) == 1
    assert len(backdoor["relatedLocations"]) == len(result.verdict.findings[0].members) - 1
    assert backdoor["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "T-shirt/00129.png"


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("a b/ü.png", "a%20b/%C3%BC.png"),
        ("/data/x.png", "file:///data/x.png"),
        ("rows.parquet#17", "rows.parquet"),
        ("a#b.png", "a%23b.png"),
        ("#17", None),
        ("x\n\u202e.png", "x%0A%E2%80%AE.png"),
    ],
)
def test_paths_become_uris(path: str, uri: str | None, result: AuditResult) -> None:
    column = pa.array([path] * len(result.samples))
    samples = result.samples.set_column(result.samples.schema.get_field_index("path"), "path", column)
    place = log(replace(result, samples=samples))["results"][0]["locations"][0]
    found = place["physicalLocation"]["artifactLocation"]["uri"] if "physicalLocation" in place else None
    assert found == uri


def test_what_was_not_checked_is_said(result: AuditResult) -> None:
    notes = log(result)["invocations"][0]["toolExecutionNotifications"]
    assert [note["level"] for note in notes] == ["warning", "error"]
    assert "needs text" in notes[0]["message"]["text"]


def test_nothing_ran_is_no_success(result: AuditResult) -> None:
    checks = tuple(replace(check, status="skipped") for check in result.checks)
    assert log(replace(result, checks=checks))["invocations"][0]["executionSuccessful"] is False


def test_fingerprints_tell_findings_apart_and_last(result: AuditResult) -> None:
    first = result.verdict.findings[0]
    twice = replace(result, verdict=replace(result.verdict, findings=(first, replace(first, id="F2", members=first.members[:3]))))
    prints = [found["partialFingerprints"]["untaintFinding/v1"] for found in log(twice)["results"]]
    assert len(set(prints)) == 2
    assert prints[0] == log(result)["results"][0]["partialFingerprints"]["untaintFinding/v1"]


def test_brackets_are_not_links(result: AuditResult) -> None:
    finding = replace(result.verdict.findings[0], explanation="[click](https://evil.example)")
    message = log(replace(result, verdict=replace(result.verdict, findings=(finding,))))["results"][0]["message"]["text"]
    assert "\\[click\\](" in message


def test_a_message_is_one_line(result: AuditResult) -> None:
    finding = replace(result.verdict.findings[0], explanation="A patch recurs.\nspectral: They part.")
    message = log(replace(result, verdict=replace(result.verdict, findings=(finding,))))["results"][0]["message"]["text"]
    assert "A patch recurs. spectral: They part." in message
