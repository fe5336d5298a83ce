"""`audit.json`, schema `untaint.audit/v1`: frozen. Later releases may add fields; what is here keeps its name and meaning."""

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from untaint.evidence import finding as audit
from untaint.evidence.evidence import Trigger as Recovered
from untaint.evidence.standards import of_kind
from untaint.report.text import finite, plain, storable
from untaint.types import Rows

SCHEMA = "untaint.audit/v1"
EXAMPLES = 100
"""Samples named per finding; code-scanning pages show no more locations than that for one result."""
ILLUSTRATED = 40
"""Findings that get pictures: more than a person looks through, few enough for a report that opens at once."""

Text = Annotated[str, BeforeValidator(storable)]
Number = Annotated[float | None, BeforeValidator(finite)]
Facts = Annotated[dict[str, object], BeforeValidator(plain)]


class Part(BaseModel):
    """Immutable; fields added by a later v1 release are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Source(Part):
    """One source's part in a finding."""

    name: Text
    n: int
    n_flagged: int
    p_value: Number


class Stretch(Part):
    """One stretch of time's part in a finding; start and end in ISO, UTC."""

    start: Text
    end: Text
    n: int
    n_flagged: int


class Trigger(Part):
    """What an attacker would add to an input. picture: its name in `pictures.parquet`."""

    type: Text
    description: Text
    parameters: Facts
    picture: Text | None


class Example(Part):
    """One member of a finding."""

    row: int
    id: Text | None
    path: Text | None
    label: Text | None
    source: Text | None
    risk: Number
    suggested_label: Text | None
    reason: Text | None


class Proof(Part):
    """What happened when the trigger was put on images of other classes. controls: success rate by name.

    asr_before: on a network trained on the suspect data.  asr_after: on one trained without the accused samples.
    """

    status: audit.Outcome
    statement: Text
    n: int
    asr_before: Number
    asr_after: Number
    controls: Facts
    p_value: Number


class Standard(Part):
    """What a catalogue of MITRE, OWASP or NIST calls findings of this kind."""

    catalogue: Text
    version: Text
    id: Text
    name: Text


class Finding(Part):
    """A group of samples, the evidence, and what to do. examples: its members of highest risk, at most `EXAMPLES`.

    timeline: when they were collected, in stretches with about as many samples each; empty where that is not known.
    """

    id: Text
    kind: Text
    severity: audit.Severity
    confidence: audit.Confidence
    p_value: Number
    alarm: bool
    target_label: Text | None
    source_label: Text | None
    trigger: Trigger | None
    n_samples: int
    sources: tuple[Source, ...]
    detectors: tuple[Text, ...]
    explanation: Text
    advice: Text
    examples: tuple[Example, ...] = ()
    proof: Proof | None = None
    timeline: tuple[Stretch, ...] = ()
    standards: tuple[Standard, ...] = ()


class Check(Part):
    """What became of one detector."""

    detector: Text
    spec: Text
    status: audit.Status
    reason: Text
    seconds: Number


class Document(Part):
    """A whole `audit.json`, keys in the order written."""

    schema_name: Literal["untaint.audit/v1"] = Field(default="untaint.audit/v1", alias="schema")
    verdict: audit.Answer
    alpha: Number
    p_value: Number
    reasons: tuple[Text, ...]
    method: Text
    n_samples: int
    n_flagged: int
    n_unreadable: int
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    power: Facts
    dataset: Facts
    environment: Facts


def document(result: audit.AuditResult) -> Document:
    """The result of an audit as `audit.json` tells it."""
    verdict = result.verdict
    pictured = {finding.id for finding in illustrated(verdict.findings)}
    return Document(
        verdict=verdict.answer,
        alpha=verdict.alpha,
        p_value=verdict.p_value,
        reasons=verdict.reasons,
        method=verdict.method,
        n_samples=result.n_samples,
        n_flagged=result.n_flagged,
        n_unreadable=result.n_unreadable,
        findings=tuple(_finding(finding, result.samples, finding.id in pictured) for finding in verdict.findings),
        checks=tuple(Check(**vars(check)) for check in result.checks),
        power=dict(result.power),
        dataset=dict(result.dataset),
        environment=dict(result.environment),
    )


def _finding(finding: audit.Finding, samples: pa.Table, pictured: bool) -> Finding:
    return Finding(
        id=finding.id,
        kind=finding.kind,
        severity=finding.severity,
        confidence=finding.confidence,
        p_value=finding.p_value,
        alarm=finding.alarm,
        target_label=finding.target_label,
        source_label=finding.source_label,
        trigger=_trigger(finding.id, finding.trigger, pictured) if finding.trigger else None,
        n_samples=len(finding.members),
        sources=tuple(Source(**vars(source)) for source in finding.sources),
        detectors=finding.detectors,
        explanation=finding.explanation,
        advice=finding.advice,
        examples=_examples(samples, ranked(samples, finding.members)[:EXAMPLES]),
        proof=_proof(finding.proof) if finding.proof else None,
        timeline=tuple(Stretch(**vars(stretch)) for stretch in finding.timeline),
        standards=tuple(Standard(**standard._asdict()) for standard in of_kind(finding.kind)),
    )


def _proof(proof: audit.Proof) -> Proof:
    return Proof(**{name: getattr(proof, name) for name in Proof.model_fields})


def _trigger(finding: str, trigger: Recovered, pictured: bool) -> Trigger:
    return Trigger(
        type=trigger.type,
        description=trigger.description,
        parameters=dict(trigger.parameters),
        picture=f"{finding}/trigger" if pictured and (trigger.picture is not None or trigger.steps is not None) else None,
    )


def _examples(samples: pa.Table, rows: Rows) -> tuple[Example, ...]:
    table = samples.select(list(Example.model_fields)).take(pa.array(rows))
    return tuple(Example(**record) for record in table.to_pylist())


def ranked(samples: pa.Table, rows: Rows) -> Rows:
    """Rows by risk, highest first, those not assessed last."""
    chosen = np.asarray(rows, dtype=np.int64)
    risk = samples.column("risk").take(pa.array(chosen)).to_numpy().astype(np.float64)
    return chosen[np.argsort(-np.where(np.isnan(risk), -1.0, risk), kind="stable")]


class Accusing(Protocol):
    """A finding, fresh or read back."""

    @property
    def alarm(self) -> bool:
        """Raises the verdict."""
        ...


F = TypeVar("F", bound=Accusing)


def ordered(findings: Sequence[F]) -> list[F]:
    """Alarms first, otherwise as found."""
    return sorted(findings, key=lambda finding: not finding.alarm)


def illustrated(findings: Sequence[F]) -> list[F]:
    """The findings that get pictures."""
    return ordered(findings)[:ILLUSTRATED]
