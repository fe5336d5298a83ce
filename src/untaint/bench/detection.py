"""What an audit makes of a poisoned set, against the truth: as it is, without each detector, and with each one alone."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from untaint.attacks.base import Poisoned
from untaint.audit.look import Look
from untaint.audit.proofs import accused
from untaint.audit.rounds import rounds
from untaint.audit.settings import AuditSettings
from untaint.bench.victim import DetectionRates, detection_rates
from untaint.data.dataset import Dataset
from untaint.evidence.conviction import arguable
from untaint.evidence.evidence import Evidence
from untaint.evidence.finding import Verdict
from untaint.evidence.verdict import Circumstances, decide
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.types import Mask, Rows, Scores

_REVIEWED_FPR = 0.005
"""Share of honest samples a person would be ready to look at in vain."""


@final
@dataclass(frozen=True)
class Audited:
    """An audit with what its detectors handed over. first: the first look; verdict: over all rounds; cpu_s: of this process."""

    first: Look
    verdict: Verdict
    cpu_s: float

    @property
    def flagged(self) -> Mask:
        """Which rows are accused."""
        return _mask(accused(self.verdict), len(self.first.rows))


def audited(dataset: Dataset, settings: AuditSettings) -> Audited:
    """Audit a set in memory. The power of the audit is not measured, which may turn its `no evidence` into `cannot tell`."""
    started = time.process_time()
    first, verdict = rounds(Features(dataset, settings.features, Cache(None)), settings)
    return Audited(first, verdict, time.process_time() - started)


class Naming(NamedTuple):
    """The labels that alarms name. right: every label the attacker wants is among them, None = he wants none in particular."""

    named: list[str]
    right: bool | None
    wrong: list[str]


def naming(made: Poisoned, verdict: Verdict) -> Naming:
    """Which targets the audit names."""
    wanted = set(made.more) | ({made.target} if made.target is not None else set())
    named = {found.target_label for found in verdict.findings if found.alarm and found.target_label is not None}
    right = wanted <= named if wanted else None
    return Naming(sorted(named), right, sorted(named - wanted) if wanted else [])


class Ablation(NamedTuple):
    """Rates of the first look: with all detectors, without each of them, with each alone."""

    whole: DetectionRates
    without: dict[str, DetectionRates]
    alone: dict[str, DetectionRates]


def ablation(made: Poisoned, done: Audited) -> Ablation:
    """Decide again on the same evidence with fewer detectors, each time corrected for as many as are left.

    Later rounds and new proofs are left out: they would need other networks. What a proof convicted stays convicted as long
    as a detector that is left still proposes it.
    """
    evidence = done.first.evidence

    def rates(part: Mapping[str, Evidence]) -> DetectionRates:
        return detection_rates(made.mask, _redecided(done, part), made.covers)

    without = {name: rates({other: found for other, found in evidence.items() if other != name}) for name in evidence}
    return Ablation(rates(evidence), without, {name: rates({name: found}) for name, found in evidence.items()})


def _redecided(done: Audited, evidence: Mapping[str, Evidence]) -> Mask:
    n, sources = len(done.first.rows), done.first.features.get("sources")
    # Circumstances only word a verdict that accuses nobody.
    verdict = decide(evidence, (), Circumstances(n, 1.0, float("nan"), n), done.verdict.alpha, sources.codes, sources.names)
    flagged = _mask(accused(verdict), n)
    for found in verdict.findings:
        if arguable(found):
            flagged[np.intersect1d(found.members, _convicted(done))] = True
    return flagged


def _convicted(done: Audited) -> Rows:
    """Rows of shortcuts that only a proof made an accusation."""
    shortcuts = [found.members for found in done.first.verdict.findings if arguable(found)]
    members = np.concatenate([np.empty(0, np.int64), *shortcuts])
    return np.setdiff1d(np.intersect1d(members, accused(done.verdict)), accused(done.first.verdict))


class ReviewRates(NamedTuple):
    """How well a review list ranks wrong labels.

    auroc, tpr: of its scores, the latter at a false-positive rate of 0.5 %.  listed: its rows.
    stated, true: the share of them it expects to be wrong, and that of poison; NaN where there is none.
    """

    auroc: float
    tpr: float
    listed: int
    stated: float
    true: float


def review_rates(mask: Mask, evidence: Evidence) -> ReviewRates:
    """A review list against the truth; rows without a score rank last. Needs both poisoned and clean rows."""
    seen = np.isfinite(evidence.scores)
    scores: Scores = np.where(seen, evidence.scores, evidence.scores[seen].min(initial=0.0) - 1)
    fpr, tpr, _ = roc_curve(mask, scores)
    listed = mask[evidence.review]
    return ReviewRates(
        float(roc_auc_score(mask, scores)),
        float(np.interp(_REVIEWED_FPR, fpr, tpr)),  # ties count as if drawn by lot
        len(listed),
        evidence.expected_precision,
        float(listed.mean()) if len(listed) else float("nan"),
    )


def _mask(rows: Rows, n: int) -> Mask:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask
