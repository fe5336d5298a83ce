"""What an inspection of a model found out, as JSON (`untaint.inspect/v1`) and as a page that needs nothing else."""

import base64
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import SEVERITIES, Check, Proof
from untaint.models.base import Answer, Inspected, ModelFinding
from untaint.report import folder, inspection_sarif, rasters
from untaint.report.html import environment
from untaint.report.text import plain
from untaint.types import Image

SCHEMA = "untaint.inspect/v1"
DOCUMENT, PAGE = "inspect.json", "report.html"
HEADLINES: Mapping[Answer, str] = {
    "unsafe": "Do not open it: loading this model may run code",
    "tampered": "Tampered with",
    "backdoored": "Backdoored",
    "cannot tell": "Cannot tell",
    "no evidence": "No evidence of tampering",
}
MEANS: Mapping[Answer, str] = {
    "unsafe": "The file holds something that runs, or may run, when it is loaded.",
    "tampered": "The model is not what it is said to be, and no training that is known explains it.",
    "backdoored": "A trigger was found that turns its answers, and was tried on inputs it was not found on.",
    "cannot tell": "What was looked at does not suffice for an answer.",
    "no evidence": "Nothing was found by what was checked. That proves no model clean: see below what was not checked.",
}
_SHOWN = 100
"""Findings shown in full on the page, and rows of a table: all are in the JSON."""
_TRIED = 8  # pictures with a trigger on them


def write(done: Inspected, target: Path) -> dict[str, Any]:
    """Write both, and SARIF, into a folder that is there; returns the document. Raises CannotWrite."""
    found = document(done)
    folder.write_text(target / PAGE, page(found))
    folder.write_text(target / inspection_sarif.FILE, inspection_sarif.sarif(found))
    folder.write_text(target / DOCUMENT, json.dumps(found, indent=2, allow_nan=False) + "\n")
    return found


def document(done: Inspected) -> dict[str, Any]:
    """Plain JSON: no NaN, pictures as data URIs."""
    found: Any = plain(
        {
            "schema": SCHEMA,
            "answer": done.answer,
            "reasons": done.model.get("reasons", ()),
            "model": {name: value for name, value in done.model.items() if name != "reasons"},
            "findings": [_finding(finding) for finding in done.findings],
            "checks": [_check(check) for check in done.checks],
            "facts": done.facts,
        }
    )
    return found if isinstance(found, dict) else {}


def _check(check: Check) -> dict[str, object]:
    seconds = round(check.seconds, 3)
    return {"check": check.detector, "spec": check.spec, "status": check.status, "reason": check.reason, "seconds": seconds}


def _finding(finding: ModelFinding) -> dict[str, object]:
    return {
        "id": finding.id,
        "kind": finding.kind,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "where": finding.where,
        "what": finding.what,
        "advice": finding.advice,
        "check": finding.check,
        "p_value": finding.p_value,
        "target_label": finding.target_label,
        "trigger": None if finding.trigger is None else _trigger(finding.trigger),
        "proof": None if finding.proof is None else _proof(finding.proof),
        "details": finding.details,
    }


def _trigger(trigger: Trigger) -> dict[str, object]:
    shown: Image | None = None
    if trigger.picture is not None:
        shown = rasters.trigger(trigger.picture, trigger.mask)
    elif trigger.steps is not None:
        shown = rasters.warp(trigger.steps)
    picture = None if shown is None else _uri(shown)
    parameters = dict(trigger.parameters)
    return {"type": trigger.type, "description": trigger.description, "parameters": parameters, "picture": picture}


def _proof(proof: Proof) -> dict[str, object]:
    tried = [
        {
            "row": each.row,
            "plain": _uri(rasters.thumbnail(each.plain)),
            "stamped": _uri(rasters.thumbnail(each.stamped)),
            "answers": list(each.answers[:2]),
        }
        for each in proof.examples[:_TRIED]
    ]
    numbers = {"n": proof.n, "asr": proof.asr_before, "controls": dict(proof.controls), "p_value": proof.p_value}
    return {"status": proof.status, "statement": proof.statement, **numbers, "examples": tried}


def _uri(image: Image) -> str:
    pixels = np.asarray(image, np.uint8)
    held = BytesIO()
    Pillow.fromarray(pixels.squeeze(2) if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def page(found: Mapping[str, Any]) -> str:
    """HTML of a document; whatever the model's file says stays text."""
    facts: Mapping[str, Mapping[str, Any]] = found["facts"]
    answer: Answer = found["answer"]
    return (
        environment()
        .get_template("inspect.html.j2")
        .render(
            found=found,
            headline=HEADLINES[answer],
            means=MEANS[answer],
            counts={name: sum(each["severity"] == name for each in found["findings"]) for name in reversed(SEVERITIES)},
            shown=found["findings"][:_SHOWN],
            left=len(found["findings"]) - _SHOWN,
            ran=[check for check in found["checks"] if check["status"] == "ran"],
            missed=[check for check in found["checks"] if check["status"] != "ran"],
            tables=[(name, title, *_table(rows)) for name, values in facts.items() for title, rows in _tables(values)],
            facts={name: _flat(values) for name, values in facts.items()},
        )
    )


def _tables(values: Mapping[str, Any]) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
    """Lists of rows among the facts of a check, by what they are called."""
    lists = [(title, rows) for title, rows in values.items() if isinstance(rows, list)]
    return [(title, rows) for title, rows in lists if rows and all(isinstance(row, Mapping) for row in rows)]


def _table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]], int]:
    """Its columns, its first rows as text, and how many rows there are."""
    columns = list(dict.fromkeys(name for row in rows[:_SHOWN] for name in row))
    return columns, [[_said(row.get(name)) for name in columns] for row in rows[:_SHOWN]], len(rows)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that are no tables."""
    tables = {title for title, _ in _tables(values)}
    return {name: value for name, value in values.items() if name not in tables and value not in ([], {}, "")}


def _said(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " × ".join(map(str, value)) or "one number"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
