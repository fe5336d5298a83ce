"""What a person reads: findings, the checks that ran, the verdict, and the whole result of an audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final

import pyarrow as pa

from untaint.evidence.evidence import Kind, Trigger
from untaint.types import Image, Rows

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
class TimeShare:
    """One stretch of time's part in a finding. start, end: its first and last sample, ISO in UTC; n: samples collected then."""

    start: str
    end: str
    n: int
    n_flagged: int


Outcome = Literal["proven", "not proven", "not tried"]


@final
@dataclass(frozen=True)
class Tried:
    """One image the trigger was put on. row: where it comes from.

    answers: of the network trained on the suspect data for the plain image and for the one with the trigger, and of the
    network trained without the accused samples for the one with the trigger; None = was not asked.
    """

    row: int
    plain: Image
    stamped: Image
    answers: tuple[str, str, str | None]


@final
@dataclass(frozen=True)
class Proof:
    """What happened when the recovered trigger was put on images of other classes that nobody accuses.

    n: images tried, none of which the network gave the wanted answer as it was.  asr_before, asr_after: attack success rate on
    the network trained on the suspect data, and on one trained without the accused; NaN = not measured.
    controls: success rate of changes of the same size that are not the trigger.  p_value: one-sided, against the best of them.
    trigger: what was put on, where it was recovered for the proof.
    """

    status: Outcome
    statement: str
    n: int = 0
    asr_before: float = float("nan")
    asr_after: float = float("nan")
    controls: Mapping[str, float] = field(default_factory=dict)
    p_value: float = float("nan")
    examples: tuple[Tried, ...] = ()
    trigger: Trigger | None = None


@final
@dataclass(frozen=True)
class Finding:
    """A group of samples an audit accuses, the evidence, and what to do.

    timeline: when its samples were collected, in stretches of time with about as many samples each; () = not known.

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
    proof: Proof | None = None
    timeline: tuple[TimeShare, ...] = ()


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
