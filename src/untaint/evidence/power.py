"""What an audit would have caught: known poison was planted in a copy, and this is what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from untaint.evidence.finding import Finding, Verdict
from untaint.evidence.verdict import accusation

FOUND = 0.5
"""Share of the planted samples that must be flagged: then most of an attack is out, and a person knows of it."""
_USELESS = 0.6
"""AUROC under which a detector ranks planted poison hardly better than a coin."""
_RANKED = 0.9
"""AUROC from which a review list is worth a person's time: nine of ten pairs in order."""
_UPSIDE_DOWN = 0.4
"""AUROC under which it ranks poison last."""


@final
@dataclass(frozen=True)
class Canary:
    """One attack at one rate. TPR, FPR of what the audit flagged; auroc by detector, NaN where its scores are all alike.

    n: size of the copy.  trouble: why it could not be planted; everything else is then NaN.  told: share of the planted
    samples in findings that accuse nobody.  judges: silence about it counts against a detector, as where all of them look for
    anything odd; where each looks for one kind of poison it says nothing about the others.
    """

    attack: str
    rate: float
    n: int
    tpr: float = float("nan")
    fpr: float = float("nan")
    auroc: Mapping[str, float] | None = None
    trouble: str = ""
    told: float = 0.0
    judges: bool = True

    @property
    def found(self) -> bool:
        """Most of it was flagged."""
        return self.tpr >= FOUND


def described(canaries: Sequence[Canary]) -> Mapping[str, object]:
    """The `power` block of an audit: a sentence, and the numbers per attack."""
    attacks = dict.fromkeys(canary.attack for canary in canaries)
    by_attack = {name: [canary for canary in canaries if canary.attack == name] for name in attacks}
    found = [f"{name} from {_percent(_first(tried).rate)}" for name, tried in by_attack.items() if _first(tried).found]
    missed = [
        f"{name} at {_percent(tried[-1].rate)}{_ranked(tried[-1])}" for name, tried in by_attack.items() if tried[-1].tpr < FOUND
    ]
    untried = [f"{name} ({tried[-1].trouble})" for name, tried in by_attack.items() if tried[-1].trouble]
    dropped = dead(canaries)
    size = max((canary.n for canary in canaries), default=0)
    parts = [
        f"Known poison was planted in copies of {size:,} samples that nothing accuses.",
        f"This audit would have found: {', '.join(found) or 'none of it'}.",
        f"It would have missed: {', '.join(missed)}." if missed else "",
        f"Could not be planted: {', '.join(untried)}." if untried else "",
        " ".join(f"{name} does not count here: {why}." for name, why in dropped.items()),
    ]
    numbers = {name: _numbers(tried) for name, tried in by_attack.items()}
    return {"statement": " ".join(filter(None, parts)), "n": size, "canaries": numbers, "dropped": dict(dropped)}


def dead(canaries: Sequence[Canary]) -> Mapping[str, str]:
    """Detectors that no canary woke, and why. One whose scores never vary is silent, not wrong: no canary speaks to it."""
    scores: dict[str, list[float]] = {}
    for canary in (each for each in canaries if each.judges):
        for name, auroc in (canary.auroc or {}).items():
            if np.isfinite(auroc):
                scores.setdefault(name, []).append(auroc)
    why = {}
    for name, known in scores.items():
        if max(known) < _UPSIDE_DOWN:
            why[name] = f"it ranked planted poison last (AUROC at most {max(known):.2f})"
        elif max(known) < _USELESS:
            why[name] = f"it ranked planted poison no better than chance (AUROC at most {max(known):.2f})"
    return why


def discounted(verdict: Verdict, dropped: Mapping[str, str]) -> Verdict:
    """The verdict without alarms that only dropped detectors raised: they become something to look at, and the answer a doubt.

    An alarm that an intervention proved stands: canaries try few rates, and poison may be of a kind that none of them has.
    """
    alarms = [finding for finding in verdict.findings if finding.alarm]
    lone = [finding.id for finding in alarms if set(finding.detectors) <= set(dropped) and not _proven(finding)]
    if not lone:
        return verdict
    findings = tuple(_doubted(finding) if finding.id in lone else finding for finding in verdict.findings)
    doubts = tuple(f"{name} rests on detectors that found none of the poison planted to test them." for name in lone)
    if any(finding.alarm for finding in findings):
        return replace(verdict, findings=findings, reasons=(accusation(findings, verdict.alpha), *doubts))
    return replace(verdict, answer="cannot tell", findings=findings, reasons=doubts)


def _proven(finding: Finding) -> bool:
    return finding.proof is not None and finding.proof.status == "proven"


def _doubted(finding: Finding) -> Finding:
    return replace(finding, alarm=False, severity="low", confidence="low")


def _first(tried: Sequence[Canary]) -> Canary:
    """The smallest rate found, else the largest tried."""
    return next((canary for canary in tried if canary.found), tried[-1])


def _numbers(tried: Sequence[Canary]) -> Mapping[str, object]:
    told = _first(tried)
    if told.trouble:
        return {"not planted": told.trouble}
    known = {name: round(value, 3) for name, value in (told.auroc or {}).items() if np.isfinite(value)}
    ranked = [{"detector": name, "auroc": value} for name, value in known.items()]
    return {"rate": told.rate, "found": told.found, "tpr": told.tpr, "fpr": told.fpr, "auroc": ranked}


def _ranked(canary: Canary) -> str:
    """What was not accused but is named, or stands on top of the list all the same."""
    if canary.told >= FOUND:
        return " (told as what could be natural, not accused)"
    best = max((value for value in (canary.auroc or {}).values() if np.isfinite(value)), default=0.0)
    return f" (ranked, not accused: AUROC {best:.2f})" if best >= _RANKED else ""


def _percent(rate: float) -> str:
    return f"{100 * rate:g} %"
