"""Which shortcuts an intervention turns into accusations, and which it never does."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.evidence.groups import decided, evidence, group

from untaint.evidence.conviction import arguable, convicted, convicts
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Proof, Verdict
from untaint.evidence.triggers import faint

ALPHA = 0.01
WAVE = 30 * np.sin(np.arange(12))[None, :, None] * np.ones((12, 1, 1))
PROVEN = Proof("proven", "Proven.", 200, 0.9, 0.1, {}, 1e-9)


def additive(pattern: np.ndarray) -> Trigger:
    return Trigger("additive", "A pattern.", {}, None, None, pattern)


def local(strength: float) -> np.ndarray:
    pattern = np.zeros((12, 12, 1))
    pattern[8:11, 8:11] = strength
    return pattern


PATCH = Trigger("patch", "A patch.", {}, np.zeros((12, 12, 1), np.uint8), np.ones((12, 12)))


def shortcut(trigger: Trigger | None, target: str | None = "cat") -> Verdict:
    found = group(range(100), p_value=1e-6, contradiction=0.1, trigger=trigger, target_label=target)
    return decided({"a": evidence(found)})


def test_a_proven_faint_pattern_becomes_an_accusation() -> None:
    before = shortcut(additive(WAVE))
    assert (before.answer, before.findings[0].kind) == ("cannot tell", "shortcut")
    after = convicted(before, {"F1": PROVEN})
    (finding,) = after.findings
    assert (after.answer, finding.kind, finding.alarm, finding.id) == ("poisoned", "backdoor", True, "F1")
    assert finding.p_value == 1e-6
    assert "only the intervention" not in before.findings[0].explanation
    assert "no natural direction" in finding.explanation
    assert "100 samples" in after.reasons[0]
    assert after.p_value <= 1e-6


@pytest.mark.parametrize(
    "trigger",
    [None, PATCH, additive(local(30)), additive(local(250)), additive(WAVE * 5), additive(WAVE * 0)],
    ids=["none", "patch", "faint logo", "logo", "opaque wave", "nothing"],
)
def test_a_watermark_of_one_class_stays_a_shortcut_however_it_works(trigger: Trigger | None) -> None:
    before = shortcut(trigger)
    assert not faint(trigger)
    assert not arguable(before.findings[0])
    after = convicted(before, {"F1": PROVEN})
    assert (after.answer, after.findings[0].kind) == ("cannot tell", "shortcut")
    assert after.findings[0].proof == PROVEN


@pytest.mark.parametrize(
    "proof",
    [
        replace(PROVEN, status="not proven"),
        replace(PROVEN, status="not tried"),
        replace(PROVEN, p_value=0.5),
        replace(PROVEN, asr_after=0.8),
    ],
    ids=["not proven", "not tried", "no better than its shuffled pixels", "works without the samples too"],
)
def test_without_a_full_proof_nobody_is_accused(proof: Proof) -> None:
    assert not convicts(proof, ALPHA)
    after = convicted(shortcut(additive(WAVE)), {"F1": proof})
    assert (after.answer, after.findings[0].alarm) == ("cannot tell", False)


def test_a_cure_that_was_not_measured_does_not_acquit() -> None:
    assert convicts(replace(PROVEN, asr_after=float("nan")), ALPHA)


def test_a_pattern_towards_no_class_cannot_be_argued() -> None:
    assert not arguable(shortcut(additive(WAVE), None).findings[0])


def test_an_accusation_keeps_its_place_and_gets_its_proof() -> None:
    alarm = group(range(200, 260), p_value=1e-9, target_label="dog", trigger=PATCH)
    natural = group(range(100), p_value=1e-6, contradiction=0.1, trigger=additive(WAVE), target_label="cat")
    before = decided({"a": evidence(natural, alarm)})
    after = convicted(before, {"F1": replace(PROVEN, status="not proven"), "F2": PROVEN})
    assert [(found.id, found.target_label, found.alarm) for found in after.findings] == [("F1", "dog", True), ("F2", "cat", True)]
    assert after.findings[0].proof is not None
    assert after.findings[0].proof.status == "not proven"
    assert "160 samples" in after.reasons[0]


def test_a_proof_that_changes_nothing_changes_no_answer() -> None:
    before = decided({"a": evidence(group(range(60), target_label="dog", trigger=PATCH))})
    after = convicted(before, {"F1": PROVEN})
    assert replace(after, findings=before.findings) == before
