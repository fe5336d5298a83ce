"""What a person reads: findings, the checks that ran, the verdict, and the whole result of an audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final

import pyarrow as pa

from untaint.evidence.evidence import Kind, Trigger
from untaint.types import Rows

Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
Confidence = Literal["low", "medium", "high"]
Answer = Literal["poisoned", "no evidence", "cannot tell"]
Status = Literal["ran", "skipped", "failed"]


@final
@dataclass(frozen=True)
class SourceShare:
    """One source's part in a finding; p_value: one-sided exact test of its share, corrected for the sources tested."""

    name: str
    n: int
    n_flagged: int
    p_value: float


@final
@dataclass(frozen=True)
class Finding:
    """A group of samples an audit accuses, the evidence, and what to do.

    alarm: True = raises the verdict to `poisoned`; False = worth a look (review list, shortcut), never flags a sample.
    """

    id: str  # F1, F2 …
    kind: Kind
    severity: Severity
    confidence: Confidence
    p_value: float
    members: Rows
    detectors: tuple[str, ...]
    explanation: str
    advice: str
    alarm: bool
    target_label: str | None = None
    source_label: str | None = None
    trigger: Trigger | None = None
    sources: tuple[SourceShare, ...] = ()


@final
@dataclass(frozen=True)
class Check:
    """What became of one detector. `spec` holds its parameters."""

    detector: str
    spec: str
    status: Status
    reason: str
    seconds: float


@final
@dataclass(frozen=True)
class Verdict:
    """The answer, the false-alarm rate it was held to, and why."""

    answer: Answer
    alpha: float
    p_value: float
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]
    method: str  # how multiple testing was controlled, in words


@final
@dataclass(frozen=True)
class AuditResult:
    """Everything one audit found out.

    samples: one row per input row, in input order, columns as `samples.parquet` documents them.
    dataset: digest, format, location, columns, classes, notes.  environment: versions, seed, budget.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    samples: pa.Table
    n_samples: int
    n_flagged: int
    n_unreadable: int
    dataset: Mapping[str, object]
    environment: Mapping[str, object]
    power: Mapping[str, object] = field(default_factory=dict)
