"""An inspection as JSON and as a page: plain, whole, and proof against what a hostile model calls its parts."""

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Check, Proof, Tried
from untaint.models.base import Answer, Inspected, ModelFinding
from untaint.report import inspection_sarif
from untaint.report.models import inspection

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "sarif-schema-2.1.0.json").read_text("utf-8"))
HOSTILE = "</title><script>alert(1)</script>\u202e"
IMAGE = np.full((8, 8, 1), 200, np.uint8)


def _inspected(answer: Answer = "backdoored", n: int = 1) -> Inspected:
    trigger = Trigger("patch", f"a patch {HOSTILE}", {"size": 3}, IMAGE, np.ones((8, 8)))
    proof = Proof(
        "proven", "turns 9 of 10", 10, 0.9, float("nan"), {"random": 0.1}, 1e-4, (Tried(3, IMAGE, IMAGE, ("cat", HOSTILE, None)),)
    )
    found = ModelFinding(
        "M1", "backdoor", "critical", "high", HOSTILE, f"`{HOSTILE}` found", "do not use it", "probe", 1e-5, HOSTILE, trigger, proof,
        {"relative": math.inf, "where": Path("a/b"), "mean": np.float32(0.5)},
    )  # fmt: skip
    checks = (Check("probe", "probe()", "ran", HOSTILE, 1.25), Check("diff", "diff()", "skipped", "no base", 0.0))
    facts = {"probe": {"classes": [{"class": HOSTILE, "asr": 0.5, "shape": [2, 3]}], "note": HOSTILE, "nothing": []}}
    return Inspected(answer, (found,) * n, checks, facts, {"name": HOSTILE, "reasons": [HOSTILE]})


def test_the_document_is_plain_json() -> None:
    found = inspection.document(_inspected())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    (finding,) = found["findings"]
    assert finding["details"] == {"relative": None, "where": "a/b", "mean": 0.5}
    assert finding["trigger"]["picture"].startswith("data:image/png;base64,")
    assert finding["proof"]["asr"] == 0.9
    assert finding["proof"]["examples"][0]["answers"] == ["cat", HOSTILE]
    assert "reasons" not in found["model"]


def test_the_page_shows_all_and_runs_nothing() -> None:
    page = inspection.page(inspection.document(_inspected()))
    assert "<script" not in page
    assert "\u202e" not in page
    assert page.count("data:image/png;base64,") == 3
    for said in ("Backdoored", "no base", "Recovered trigger", "turns 9 of 10", "2 × 3"):
        assert said in page


@pytest.mark.parametrize("answer", ["unsafe", "tampered", "backdoored", "no evidence", "cannot tell"])
def test_every_answer_has_a_page(answer: Answer) -> None:
    assert inspection.HEADLINES[answer] in inspection.page(inspection.document(_inspected(answer)))


@pytest.mark.parametrize("n", [0, 2])
def test_sarif_is_valid(n: int) -> None:
    text = inspection_sarif.sarif(inspection.document(_inspected(n=n)))
    parsed = json.loads(text)
    jsonschema.Draft4Validator(SCHEMA).validate(parsed)
    assert "<" not in text
    run = parsed["runs"][0]
    assert [result["level"] for result in run["results"]] == ["error"] * n
    assert "diff skipped: no base" in str(run["invocations"])


def test_no_findings_and_far_too_many(tmp_path: Path) -> None:
    assert "None." in inspection.page(inspection.document(_inspected("no evidence", 0)))
    document: dict[str, Any] = inspection.write(_inspected(n=250), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "150 more findings" in page
    assert json.loads((tmp_path / "inspect.json").read_text()) == document
