"""What an intervention changes in a verdict: findings carry their proof, and some shortcuts become accusations.

A shortcut is significant, but what its samples show agrees with their label. Three kinds of it:

- A patch, or anything opaque or local. A watermark, a logo or a date stamp that honest people put on one class forces that
  class as surely as a planted one. Nothing in the data tells them apart, so it stays `cannot tell`.
- A look that the class has by nature (sandals with heels). Adding it forces nothing that a step of the same size towards the
  class does not: of 300 sub-classes of clean Fashion-MNIST, MNIST and CIFAR-10 (100 each, 6,000 images: clusters, ends of
  principal components) not one was proven.
- A faint pattern over the whole image, the same to the pixel on a part of one class, that forces the class on images of every
  other class far beyond natural directions, and does not when those samples are gone. A camera or scanner with such a pattern
  leaves it on whatever it records, not on a part of one class. This one is an accusation.
"""

from collections.abc import Mapping
from dataclasses import replace

from untaint.evidence.finding import Finding, Proof, Verdict
from untaint.evidence.proof import CURED, LEAST_ASR
from untaint.evidence.triggers import faint
from untaint.evidence.verdict import ADVICE, accusation


def arguable(finding: Finding) -> bool:
    """Could an intervention turn this shortcut into an accusation?"""
    return finding.kind == "shortcut" and finding.target_label is not None and faint(finding.trigger)


def convicted(verdict: Verdict, proofs: Mapping[str, Proof]) -> Verdict:
    """The verdict with proofs, by finding id; arguable shortcuts with a proof become accusations. Numbered anew, alarms first."""
    if not proofs:
        return verdict
    told = [_told(finding, proofs.get(finding.id), verdict.alpha) for finding in verdict.findings]
    ordered = sorted(told, key=lambda finding: not finding.alarm)
    findings = tuple(replace(finding, id=f"F{number}") for number, finding in enumerate(ordered, 1))
    alarms = [finding for finding in findings if finding.alarm]
    if len(alarms) == sum(finding.alarm for finding in verdict.findings):
        return replace(verdict, findings=findings)
    p_value = min(verdict.p_value, *(finding.p_value for finding in alarms), 1.0)
    reasons = (accusation(findings, verdict.alpha),)
    return replace(verdict, answer="poisoned", findings=findings, reasons=reasons, p_value=p_value)


def _told(finding: Finding, proof: Proof | None, alpha: float) -> Finding:
    if proof is None:
        return finding
    if not (arguable(finding) and convicts(proof, alpha)):
        return replace(finding, proof=proof, trigger=proof.trigger or finding.trigger)
    explanation = (
        f"{finding.explanation} What these samples show agrees with their label; they are accused because a faint pattern on a part "
        "of the class forces the class, which no natural direction of the same size does."
    )
    return replace(
        finding,
        kind="backdoor",
        severity="high",
        confidence="medium",
        p_value=max(finding.p_value, proof.p_value),
        explanation=explanation,
        advice=ADVICE["backdoor"],
        alarm=True,
        proof=proof,
    )


def convicts(proof: Proof, alpha: float) -> bool:
    """Proven against every control, the same pixels in another order included, and cured as far as that was measured."""
    return proof.status == "proven" and proof.p_value <= alpha and not proof.asr_after > CURED * proof.asr_before


def obeys(proof: Proof, alpha: float) -> bool:
    """Does the network follow the trigger more than anything else, though not as far as a conviction takes?"""
    return proof.p_value <= alpha and proof.asr_before >= LEAST_ASR / 2
