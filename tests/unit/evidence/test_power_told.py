"""From what became of planted poison to a sentence, and to detectors that do not count."""

from dataclasses import replace

import pytest
from tests.unit.evidence.groups import decided, evidence, group

from untaint.evidence.conviction import convicted
from untaint.evidence.finding import Proof
from untaint.evidence.power import Canary, dead, described, discounted

PATCH_LOW = Canary("patch", 0.003, 5000, 0.2, 0.0, {"sharp": 0.7, "blunt": 0.5, "silent": float("nan"), "mirror": 0.2})
PATCH_HIGH = Canary("patch", 0.01, 5000, 0.98, 0.001, {"sharp": 0.99, "blunt": 0.58, "silent": float("nan"), "mirror": 0.1})
WARP = Canary("warp", 0.08, 5000, 0.1, 0.0, {"sharp": 0.5, "blunt": 0.55, "mirror": 0.3})
NEVER = Canary("flood", 0.01, 5000, trouble="too few samples.")


def test_the_sentence_names_the_smallest_rate_found_and_what_was_missed() -> None:
    power = described([PATCH_LOW, PATCH_HIGH, WARP, NEVER])
    said = str(power["statement"])
    assert "5,000 samples" in said
    assert "would have found: patch from 1 %." in said
    assert "would have missed: warp at 8 %." in said
    assert "flood (too few samples.)" in said
    numbers = power["canaries"]
    assert isinstance(numbers, dict)
    assert numbers["patch"]["rate"] == 0.01
    assert numbers["patch"]["tpr"] == 0.98
    assert numbers["flood"] == {"not planted": "too few samples."}
    assert {"detector": "sharp", "auroc": 0.99} in numbers["patch"]["auroc"]
    assert "silent" not in str(numbers["patch"]["auroc"])


def test_what_is_only_ranked_is_said() -> None:
    flips = Canary("flips", 0.05, 5000, 0.0, 0.0, {"list": 0.98, "silent": float("nan")})
    assert "flips at 5 % (ranked, not accused: AUROC 0.98)" in str(described([flips])["statement"])


def test_nothing_found_is_said() -> None:
    assert "would have found: none of it." in str(described([WARP])["statement"])


def test_detectors_that_no_canary_wakes_are_dropped_silent_ones_are_not() -> None:
    why = dead([PATCH_LOW, PATCH_HIGH, WARP])
    assert set(why) == {"blunt", "mirror"}
    assert "chance" in why["blunt"]
    assert "last" in why["mirror"]
    assert "blunt does not count here" in str(described([PATCH_LOW, PATCH_HIGH, WARP])["statement"])
    assert dead([NEVER]) == {}


def test_one_canary_that_a_detector_sees_keeps_it() -> None:
    assert "blunt" not in dead([PATCH_LOW, replace(WARP, auroc={"blunt": 0.61})])


def test_an_alarm_of_dropped_detectors_alone_becomes_a_doubt() -> None:
    before = decided({"blunt": evidence(group(range(50)))})
    after = discounted(before, {"blunt": "it is blunt"})
    assert (after.answer, after.findings[0].alarm) == ("cannot tell", False)
    assert "F1 rests on" in after.reasons[0]


def test_an_alarm_that_was_proven_stands() -> None:
    before = convicted(decided({"blunt": evidence(group(range(50)))}), {"F1": Proof("proven", "Proven.")})
    assert discounted(before, {"blunt": "it is blunt"}) == before


@pytest.mark.parametrize("other", [range(50), range(500, 540)])
def test_alarms_that_others_see_stand(other: range) -> None:
    before = decided({"blunt": evidence(group(range(50))), "sharp": evidence(group(other))})
    after = discounted(before, {"blunt": "it is blunt"})
    assert after.answer == "poisoned"
    assert {name for finding in after.findings if finding.alarm for name in finding.detectors} >= {"sharp"}


def test_without_dropped_detectors_nothing_changes() -> None:
    before = decided({"blunt": evidence(group(range(50)))})
    assert discounted(before, {}) is before


def test_where_detectors_look_for_one_kind_each_silence_drops_none() -> None:
    assert dead([replace(WARP, judges=False)]) == {}


def test_what_is_told_without_accusing_is_said() -> None:
    flood = Canary("flood", 0.01, 5000, 0.0, 0.0, {"list": 0.98}, told=0.9)
    assert "flood at 1 % (told as what could be natural, not accused)" in str(described([flood])["statement"])
