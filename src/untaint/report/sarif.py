"""SARIF 2.1.0, for code-scanning pages and security dashboards.

One result per finding. A finding that accuses has kind `fail` and a level after its severity; a review list has kind
`review`, which by the standard (3.27.9) has level `none`. Absent keys are left out: the standard does not allow null.
"""

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, final
from urllib.parse import quote

from typing_extensions import override

from untaint.evidence.standards import of_kind, standards
from untaint.report.base import Renderer, Report
from untaint.report.text import clip, visible
from untaint.report.v1 import Check, Document, Example, Finding
from untaint.report.wording import KINDS, p_value, summary, title, words

Node: TypeAlias = dict[str, Any]

_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
_MESSAGE = 2_000
_NOTIFICATIONS = 200
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0-rtm.5.json"
_TAGS = ["security", "data-poisoning"]
_TAGGED = {"MITRE ATLAS": "external/atlas/"}
"""Catalogues whose ids are tags too, by which code-scanning pages filter."""
_EXIT = "0: nothing found; 1: findings at or above --fail-on; 2: bad usage or input; 3: internal error"


@final
@dataclass(frozen=True)
class Sarif(Renderer):
    """Static Analysis Results Interchange Format 2.1.0."""

    id: ClassVar[str] = "sarif"
    file: ClassVar[str] = "audit.sarif"
    with_audit: ClassVar[bool] = True

    @override
    def render(self, report: Report) -> str:
        log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(report.document)]}
        text = json.dumps(log, indent=2, allow_nan=False).replace("<", "\\u003c")  # some viewers paste messages into a page
        return f"{text}\n"


def _run(document: Document) -> Node:
    kinds = sorted({finding.kind for finding in document.findings} | set(KINDS))
    named = [{"name": name} for name in dict.fromkeys(standard.catalogue for standard in standards())]
    driver = {"name": "untaint", "rules": [_rule(kind) for kind in kinds], "supportedTaxonomies": named, **_version(document)}
    return {
        "tool": {"driver": driver},
        "taxonomies": _taxonomies(),
        "invocations": [_invocation(document)],
        "results": _results(document, kinds),
        "columnKind": "unicodeCodePoints",
        "properties": {
            "verdict": document.verdict,
            **_present("alpha", document.alpha),
            **_present("p_value", document.p_value),
            "n_samples": document.n_samples,
            "n_flagged": document.n_flagged,
            "n_unreadable": document.n_unreadable,
            "summary": summary(document),
        },
    }


def _present(name: str, value: float | None) -> Node:
    return {} if value is None else {name: value}


def _version(document: Document) -> Node:
    version = document.environment.get("untaint")
    return {"version": version} if isinstance(version, str) else {}


def _rule(kind: str) -> Node:
    told = words(kind)
    return {
        "id": kind,
        "name": "".join(part.capitalize() for part in kind.split("-")),
        "shortDescription": {"text": told.name},
        "fullDescription": {"text": told.help},
        "help": {"text": f"{told.help} The report beside this file shows the samples and what to do."},
        "properties": {
            "tags": [*_TAGS, *(f"{_TAGGED[found.catalogue]}{found.id}" for found in of_kind(kind) if found.catalogue in _TAGGED)]
        },
    }


def _taxonomies() -> list[Node]:
    """The catalogues, with those of their entries that we name (3.19.3)."""
    entries: dict[tuple[str, str], list[Node]] = {}
    for found in standards():
        entries.setdefault((found.catalogue, found.version), []).append({"id": found.id, "name": found.name})
    return [
        {"name": name, "version": version, "isComprehensive": False, "taxa": taxa} for (name, version), taxa in entries.items()
    ]


def _invocation(document: Document) -> Node:
    quiet = [check for check in document.checks if check.status != "ran"]
    return {
        "executionSuccessful": any(check.status == "ran" for check in document.checks),
        "exitCodeDescription": _EXIT,
        "toolExecutionNotifications": [_notification(check) for check in quiet[:_NOTIFICATIONS]],
    }


def _notification(check: Check) -> Node:
    text = f"{check.detector} {'was skipped' if check.status == 'skipped' else 'failed'}: {check.reason}"
    return {"level": "warning" if check.status == "skipped" else "error", "message": _message(text)}


def _message(text: str) -> Node:
    """Plain text; `[` begins a link in SARIF unless escaped (3.11.6)."""
    return {"text": re.sub(r"([\[\]\\])", r"\\\1", visible(clip(text.replace("\n", " "), _MESSAGE)))}


def _results(document: Document, kinds: list[str]) -> list[Node]:
    seen: Counter[str] = Counter()
    results = []
    for finding in document.findings:
        fingerprint = _fingerprint(finding)
        seen[fingerprint] += 1
        results.append(_result(finding, kinds.index(finding.kind), f"{fingerprint}:{seen[fingerprint]}"))
    return results


def _fingerprint(finding: Finding) -> str:
    """The same while a finding of this kind between these labels persists, whatever its size."""
    parts = (finding.kind, finding.target_label, finding.source_label, finding.trigger.type if finding.trigger else None)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _result(finding: Finding, rule: int, fingerprint: str) -> Node:
    level = {"level": _LEVELS[finding.severity]} if finding.alarm else {"kind": "review", "level": "none"}
    places = [_location(example, place) for place, example in enumerate(finding.examples)]
    return {
        "ruleId": finding.kind,
        "ruleIndex": rule,
        **level,
        "message": _message(f"{title(finding)} ({p_value(finding.p_value)}). {finding.explanation} {finding.advice}".strip()),
        "locations": places[:1],
        "relatedLocations": places[1:],
        **_taxa(finding.kind),
        "partialFingerprints": {"untaintFinding/v1": fingerprint},
        "properties": _properties(finding),
    }


def _taxa(kind: str) -> Node:
    """What the finding may be an instance of; an empty list says nothing and is left out."""
    found = [{"id": standard.id, "toolComponent": {"name": standard.catalogue}} for standard in of_kind(kind)]
    return {"taxa": found} if found else {}


def _properties(finding: Finding) -> Node:
    labels = {"target_label": finding.target_label, "source_label": finding.source_label}
    return {
        "finding": visible(finding.id),
        "severity": finding.severity,
        "confidence": finding.confidence,
        "alarm": finding.alarm,
        **_present("p_value", finding.p_value),
        "n_samples": finding.n_samples,
        **{name: visible(label) for name, label in labels.items() if label is not None},
        "detectors": [visible(detector) for detector in finding.detectors],
    }


def _location(example: Example, place: int) -> Node:
    """A sample has no line: its record is a logical location, its file, when it has one, the physical location."""
    path = example.path or f"#{example.row}"
    record = re.fullmatch(r"(.*)#\d+", path, re.DOTALL)
    file = record[1] if record else path
    logical = {"fullyQualifiedName": visible(path), "kind": "object"}
    found: Node = {"id": place, "logicalLocations": [logical]}
    return {**found, "physicalLocation": {"artifactLocation": {"uri": _uri(file)}}} if file else found


def _uri(path: str) -> str:
    encoded = quote(path.replace("\\", "/").encode("utf-8", "backslashreplace"))
    return f"file://{encoded}" if encoded.startswith("/") else encoded
