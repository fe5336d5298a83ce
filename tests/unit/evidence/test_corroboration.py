"""How the samples of a finding stand in scores that accuse nobody."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from tests.unit.evidence.groups import N, decided, evidence, group

from untaint.evidence.corroboration import corroborated, like, standing
from untaint.evidence.evidence import Evidence

LABELS = np.arange(N) % 4
EVERY = np.ones(N, bool)
MEMBERS = np.flatnonzero(LABELS == 1)[:40]
INSIDE = np.isin(np.arange(N), MEMBERS)


def helper(lift: float) -> Evidence:
    """Scores by chance, those of the members higher by some standard deviations."""
    scores = np.random.default_rng(0).standard_normal(N) + lift * INSIDE
    return Evidence(scores.astype(np.float32), "empirical", corroborates="are steadier")


def test_in_one_label_it_is_the_rank_test_of_the_textbook() -> None:
    scores = helper(0.5).scores
    found = standing(scores, LABELS, INSIDE, EVERY)
    others = (LABELS == 1) & ~INSIDE
    expected = mannwhitneyu(scores[INSIDE], scores[others], alternative="greater", method="asymptotic", use_continuity=False)
    assert found is not None
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-4)
    assert found.auroc == pytest.approx(expected.statistic / (40 * others.sum()), rel=1e-4)


def test_labels_are_compared_within_themselves() -> None:
    """Members of a label that scores high everywhere do not stand out."""
    members = np.zeros(N, bool)
    members[np.flatnonzero(LABELS == 1)[:60]] = members[np.flatnonzero(LABELS == 2)[:10]] = True
    found = standing(helper(0.0).scores + 10.0 * (LABELS == 1), LABELS, members, EVERY)
    assert found is not None
    assert abs(found.auroc - 0.5) < 0.1
    assert not found.supports


def test_doubtful_samples_are_compared_with_doubtful_ones() -> None:
    """All doubtful samples score high, members or not: then members say nothing."""
    doubtful = INSIDE | (np.arange(N) % 8 == 1)
    scores = helper(0.0).scores + 5.0 * doubtful
    crude, fair = (standing(scores, strata, INSIDE, EVERY) for strata in (LABELS, like(LABELS, doubtful)))
    assert crude is not None
    assert fair is not None
    assert crude.auroc > 0.7 > fair.auroc
    np.testing.assert_array_equal(like(np.array([-1, 0, 2]), np.array([True, False, True])), [-1, 0, 5])


def test_copies_count_once_and_too_few_say_nothing() -> None:
    counted = EVERY.copy()
    counted[MEMBERS[9:]] = False
    assert standing(helper(3.0).scores, LABELS, INSIDE, counted) is None
    assert standing(helper(3.0).scores, LABELS, LABELS == 1, EVERY) is None


@pytest.mark.parametrize(
    ("lift", "words"), [(3.0, "which supports the finding"), (0.0, "neither supports"), (-3.0, "neither supports")]
)
def test_a_finding_says_how_its_samples_stand(lift: float, words: str) -> None:
    verdict = decided({"a": evidence(group(MEMBERS)), "b": helper(lift)})
    told = corroborated(verdict, {"b": helper(lift)}, LABELS, EVERY)
    (before,), (finding,) = verdict.findings, told.findings
    first, line = finding.explanation.split("\n")
    assert first == before.explanation
    assert line.startswith("b: These samples are steadier than ")
    assert words in line
    assert replace(finding, explanation=before.explanation) == before
    assert replace(told, findings=verdict.findings) == verdict


def test_a_detector_that_canaries_found_blind_is_not_believed() -> None:
    verdict = decided({"a": evidence(group(MEMBERS))})
    (finding,) = corroborated(verdict, {"b": helper(3.0)}, LABELS, EVERY, ("b",)).findings
    assert finding.explanation.endswith("so that means nothing.")


def test_other_evidence_and_other_kinds_are_left_as_they_are() -> None:
    accused = decided({"a": evidence(group(MEMBERS))})
    assert corroborated(accused, {"a": evidence()}, LABELS, EVERY) is accused
    listed = decided({"a": evidence(review=np.array([5, 3]), expected_precision=0.4)})
    assert corroborated(listed, {"b": helper(3.0)}, LABELS, EVERY).findings == listed.findings
