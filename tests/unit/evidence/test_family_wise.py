"""How often clean data are accused, where every gate but significance stands open: never more often than alpha.

Statistics of detectors and classes are drawn as clean data would give them, from nobody knowing of anybody to all saying nearly the
same, since detectors look at the same samples.
"""

import numpy as np
import pytest
from scipy.stats import norm

from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.verdict import Circumstances, decide

DETECTORS, CLASSES, AUDITS, ALPHA = 12, 10, 1000, 0.05
SURPRISE = 3 * np.sqrt(ALPHA * (1 - ALPHA) / AUDITS)  # three standard errors of a rate of alpha


def statistics(shared: float, seed: int) -> np.ndarray:
    """(audits, detectors, classes) standard normal; two detectors agree on a class as far as `shared` says."""
    rng = np.random.default_rng(seed)
    of_class, own = rng.standard_normal((AUDITS, 1, CLASSES)), rng.standard_normal((AUDITS, DETECTORS, CLASSES))
    return np.sqrt(shared) * of_class + np.sqrt(1 - shared) * own


def alarm(p_values: np.ndarray) -> bool:
    """Is a set called poisoned? p_values: (detectors, classes) of single tests; each detector corrects for its classes itself."""
    corrected = np.minimum(1, CLASSES * p_values)
    evidence = {
        f"d{place}": Evidence(
            np.zeros(20, np.float32),
            "empirical",
            tuple(Group("backdoor", np.arange(5), 1.0, float(p), 9.0, 1.0, ".", 1.0) for p in row if p <= ALPHA),
        )
        for place, row in enumerate(corrected)
    }
    verdict = decide(evidence, (), Circumstances(20, 1.0, 0.0, 100), ALPHA, np.zeros(20, np.int64), ("s",))
    return verdict.answer == "poisoned"


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.95])
def test_clean_sets_are_accused_in_at_most_alpha_of_audits(shared: float) -> None:
    p_values = norm.sf(statistics(shared, 0))
    worth = p_values.min((1, 2)) * CLASSES <= ALPHA  # nobody else could be accused
    alarms = sum(alarm(each) for each in p_values[worth])
    assert alarms / AUDITS <= ALPHA + SURPRISE


def test_a_detector_that_only_corroborates_costs_the_others_nothing() -> None:
    rows, group = np.arange(5), Group("backdoor", np.arange(5), 1.0, 0.009, 9.0, 1.0, ".", 1.0)
    evidence = {"a": Evidence(np.zeros(20, np.float32), "empirical", (group,))}
    helper = Evidence(np.zeros(20, np.float32), "empirical", corroborates="are steadier")
    for given in (evidence, evidence | {"b": helper}):
        verdict = decide(given, (), Circumstances(20, 1.0, 0.0, 100), 0.01, np.zeros(20, np.int64), ("s",))
        assert verdict.answer == "poisoned"
        assert np.array_equal(verdict.findings[0].members, rows)


def test_what_only_corroborates_never_accuses_whatever_it_holds() -> None:
    group = Group("backdoor", np.arange(5), 1.0, 0.0, 9.0, 1.0, ".", 1.0)
    helper = Evidence(np.zeros(20, np.float32), "empirical", (group,), np.arange(3), corroborates="are steadier")
    verdict = decide({"b": helper}, (), Circumstances(20, 1.0, 0.0, 100), 0.01, np.zeros(20, np.int64), ("s",))
    assert verdict.findings == ()
    assert verdict.answer == "no evidence"
