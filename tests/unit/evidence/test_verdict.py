import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evidence.groups import FINE, N, check, decided, evidence, group

from untaint.evidence.evidence import Evidence
from untaint.evidence.verdict import Circumstances, decide


def test_silence_is_no_evidence() -> None:
    verdict = decided({"a": evidence(), "b": evidence()})
    assert (verdict.answer, verdict.findings, verdict.p_value) == ("no evidence", (), 1.0)
    assert verdict.reasons


def test_an_accusation() -> None:
    verdict = decided({"a": evidence(group(range(30), target_label="cat")), "b": evidence()})
    (finding,) = verdict.findings
    assert verdict.answer == "poisoned"
    assert (finding.id, finding.kind, finding.alarm, finding.target_label) == ("F1", "backdoor", True, "cat")
    assert finding.members.tolist() == list(range(30))
    assert finding.p_value == verdict.p_value == 2e-9
    assert finding.severity == "high"
    assert finding.advice


def test_detectors_that_agree_raise_the_severity() -> None:
    (finding,) = decided({"a": evidence(group(range(30))), "b": evidence(group(range(30)))}).findings
    assert (finding.severity, finding.detectors) == ("critical", ("a", "b"))


@pytest.mark.parametrize(
    "gate",
    [
        {"p_value": 0.02},  # an effect without significance
        {"p_value": 1e-300, "effect": 0.49},  # significance without an effect
        {"members": []},
    ],
)
def test_a_gate_that_fails_leaves_nothing(gate: dict[str, object]) -> None:
    proposed = group(**{"members": range(30), **gate})  # type: ignore[arg-type]
    verdict = decided({"a": evidence(proposed)})
    assert (verdict.answer, verdict.findings) == ("no evidence", ())


@pytest.mark.parametrize("contradiction", [0.0, 0.74, float("nan")])
def test_without_contradiction_it_may_be_natural(contradiction: float) -> None:
    verdict = decided({"a": evidence(group(range(30), p_value=1e-99, contradiction=contradiction))})
    (finding,) = verdict.findings
    assert (finding.kind, finding.alarm, finding.severity) == ("shortcut", False, "low")
    assert verdict.answer == "cannot tell"
    assert any("F1" in reason for reason in verdict.reasons)


def test_a_shortcut_that_an_accusation_explains_is_not_told_twice() -> None:
    wider, other = group(range(50), contradiction=0.0), group(range(20, 70), contradiction=0.0)
    assert [finding.kind for finding in decided({"a": evidence(group(range(30))), "b": evidence(wider)}).findings] == ["backdoor"]
    told = decided({"a": evidence(group(range(30))), "b": evidence(other)}).findings
    assert [finding.kind for finding in told] == ["backdoor", "shortcut"]


def test_near_copies_with_right_labels_are_information() -> None:
    verdict = decided({"a": evidence(group(range(30), "flood", contradiction=0.1))})
    (finding,) = verdict.findings
    assert (finding.kind, finding.alarm, finding.severity) == ("flood", False, "info")
    assert verdict.answer == "no evidence"


def test_leverage_needs_no_contradiction() -> None:
    verdict = decided({"a": evidence(group([4], "leverage", p_value=0.0, contradiction=float("nan")))})
    assert verdict.answer == "poisoned"
    assert verdict.findings[0].kind == "leverage"


def test_the_bar_rises_with_the_number_of_detectors() -> None:
    proposed = evidence(group(range(30), p_value=0.004))
    assert decided({"a": proposed, "b": evidence()}).answer == "poisoned"
    assert decided({"a": proposed, "b": evidence(), "c": evidence()}).answer == "no evidence"


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
def test_the_false_alarm_rate_holds(alpha: float) -> None:
    """Detectors whose p-values are uniform, with effect and contradiction always there: the worst case."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(2000):
        found = {name: evidence(group(range(5), p_value=float(rng.uniform()))) for name in "abcde"}
        alarms += decided(found, alpha=alpha).answer == "poisoned"
    assert alarms / 2000 <= alpha + 3 * np.sqrt(alpha / 2000)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(1e-4, 0.2))
def test_the_answer_follows_the_p_value(p_values: list[float], alpha: float) -> None:
    found = {f"d{place}": evidence(group(range(place * 50, place * 50 + 30), p_value=p)) for place, p in enumerate(p_values)}
    verdict = decided(found, alpha=alpha)
    assert (verdict.answer == "poisoned") == (verdict.p_value <= alpha)
    assert verdict.p_value == pytest.approx(min(1.0, min(p_values) * len(p_values)))


def test_a_review_list_accuses_nobody() -> None:
    verdict = decided({"a": evidence(review=np.array([5, 3]), expected_precision=0.4)})
    (finding,) = verdict.findings
    assert (finding.kind, finding.alarm, finding.severity) == ("label-flip", False, "info")
    assert finding.members.tolist() == [5, 3]
    assert "40%" in finding.explanation
    assert verdict.answer == "no evidence"


def test_a_precision_that_is_unknown_is_said_to_be() -> None:
    (finding,) = decided({"a": evidence(review=np.array([5, 6]))}).findings
    assert "cannot be estimated" in finding.explanation
    (finding,) = decided({"a": evidence(review=np.array([5, 6]), precision_between=(0.1, 0.7))}).findings
    assert "between 10% and 70%" in finding.explanation
    (finding,) = decided({"a": evidence(review=np.array([5, 6]), precision_between=(0.0, 0.99))}).findings
    assert "cannot be estimated" in finding.explanation


def test_findings_are_numbered_alarms_first() -> None:
    natural, planted = group(range(50, 90), p_value=1e-99, contradiction=0.0), group(range(30))
    findings = decided({"a": evidence(natural, planted, review=np.array([7]))}).findings
    assert [(finding.id, finding.kind) for finding in findings] == [("F1", "backdoor"), ("F2", "shortcut"), ("F3", "label-flip")]


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_what_did_not_run_forbids_no_evidence(status: str) -> None:
    verdict = decided({"a": evidence()}, check("broken", status, "ValueError: no luck"))
    assert verdict.answer == "cannot tell"
    assert any("broken" in reason and "no luck" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("circumstances", "word"),
    [
        (Circumstances(N, 0.9, 0.05, 100), "90.0%"),
        (Circumstances(N, 1.0, 0.5, 100), "50%"),
        (Circumstances(N, 1.0, 0.05, 10), "10 samples"),
        (Circumstances(N, 1.0, 0.05, 100, 1), "1 different samples"),
    ],
)
def test_limits_forbid_no_evidence_and_are_said(circumstances: Circumstances, word: str) -> None:
    verdict = decided({"a": evidence()}, circumstances=circumstances)
    assert verdict.answer == "cannot tell"
    assert word in " ".join(verdict.reasons)


def test_a_reason_is_said_once() -> None:
    reasons = decided({"a": evidence()}, check("b", "skipped", "no texts"), check("c", "skipped", "no texts")).reasons
    assert reasons == ("b, c did not run: no texts.",)


def test_limits_do_not_hide_poison() -> None:
    assert decided({"a": evidence(group(range(30)))}, circumstances=Circumstances(N, 0.1, 0.9, 1)).answer == "poisoned"


@pytest.mark.parametrize("kind", ["backdoor", "label-flip", "flood", "leverage", "outlier", "tamper"])
def test_every_kind_has_advice(kind: str) -> None:
    (finding,) = decided({"a": evidence(group(range(30), kind))}).findings
    assert (finding.kind, finding.alarm) == (kind, True)
    assert finding.advice


def test_sources_are_tested() -> None:
    codes, names = np.repeat([0, 1], N // 2), ("alice", "mallory")
    found: dict[str, Evidence] = {"a": evidence(group(range(N // 2, N // 2 + 30)))}
    (finding,) = decide(found, [check("a")], FINE, 0.01, codes, names).findings
    (share,) = finding.sources
    assert (share.name, share.n, share.n_flagged) == ("mallory", N // 2, 30)
    assert share.p_value < 1e-7
