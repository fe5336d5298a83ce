"""An inspection of a model as SARIF 2.1.0, for code-scanning pages: one result per finding, placed at its file."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from untaint.evidence.standards import of_kind
from untaint.report.text import clip, visible

FILE = "inspect.sarif"
Node: TypeAlias = dict[str, Any]
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "none"}
_KINDS = {
    "code": "Code in a model file",
    "malformed": "A model file that is not what it says",
    "tamper": "Weights or files changed without a reason",
    "backdoor": "Backdoor",
    "numbers": "Weights that are no numbers",
}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0-rtm.5.json"
_MESSAGE = 2_000
_FINDINGS = 5_000
"""Results of one run at most, as code-scanning pages take them."""


def sarif(found: Mapping[str, Any]) -> str:
    """A document (`untaint.inspect/v1`) as SARIF, in ASCII."""
    kinds = sorted({finding["kind"] for finding in found["findings"]} | set(_KINDS))
    run = {
        "tool": {"driver": {"name": "untaint", "version": str(found["model"].get("untaint", "")), "rules": [*map(_rule, kinds)]}},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _missed(found["checks"])}],
        "results": [_result(finding, kinds, found["model"]) for finding in found["findings"][:_FINDINGS]],
        "columnKind": "unicodeCodePoints",
        "properties": {"answer": found["answer"], "reasons": [visible(str(reason)) for reason in found["reasons"]]},
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, allow_nan=False).replace("<", "\\u003c") + "\n"


def _rule(kind: str) -> Node:
    tags = [f"external/atlas/{each.id}" for each in of_kind(f"model-{kind}") if each.catalogue == "MITRE ATLAS"]
    return {
        "id": f"model-{kind}",
        "shortDescription": {"text": _KINDS.get(kind, kind)},
        "properties": {"tags": ["security", "model-poisoning", *tags]},
    }


def _missed(checks: list[Mapping[str, Any]]) -> list[Node]:
    said = [
        (check["status"], f"{check['check']} {check['status']}: {check['reason']}")
        for check in checks
        if check["status"] != "ran"
    ]
    return [{"level": "warning" if status == "skipped" else "error", "message": _message(text)} for status, text in said]


def _result(finding: Mapping[str, Any], kinds: list[str], model: Mapping[str, Any]) -> Node:
    place = [str(model.get("path", "")), finding["check"], finding["kind"], finding["where"], finding["details"].get("change")]
    level = _LEVELS[finding["severity"]]
    return {
        "ruleId": f"model-{finding['kind']}",
        "ruleIndex": kinds.index(finding["kind"]),
        "level": level,
        "kind": "fail" if level != "none" else "review",
        "message": _message(f"{finding['where']}: {finding['what']} {finding['advice']}"),
        "locations": [_location(str(model.get("path", "")), str(finding["where"]))],
        "partialFingerprints": {"untaintModelFinding/v1": hashlib.sha256(json.dumps(place).encode()).hexdigest()[:32]},
        "properties": {
            "finding": finding["id"],
            "check": visible(finding["check"]),
            "severity": finding["severity"],
            "confidence": finding["confidence"],
        },
    }


def _location(path: str, where: str) -> Node:
    logical = {"logicalLocations": [{"fullyQualifiedName": visible(clip(where, 300)), "kind": "object"}]}
    if not path:
        return logical
    uri = quote(path.replace("\\", "/").encode("utf-8", "backslashreplace"))
    return {**logical, "physicalLocation": {"artifactLocation": {"uri": f"file://{uri}" if uri.startswith("/") else uri}}}


def _message(text: str) -> Node:
    """Plain text; `[` begins a link in SARIF unless escaped (3.11.6)."""
    return {"text": re.sub(r"([\[\]\\])", r"\\\1", visible(clip(text.replace("\n", " "), _MESSAGE)))}
