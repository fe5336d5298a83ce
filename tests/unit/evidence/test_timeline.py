"""The time line of a finding."""

from dataclasses import replace

import numpy as np

from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.timeline import dated, timeline
from untaint.evidence.verdict import Circumstances, decide
from untaint.features.moments import binned

TIMES = np.datetime64("2024-05-01T00:00:00", "us") + np.arange(40).astype("timedelta64[D]")
MOMENTS = binned(TIMES, 4)


def test_every_bin_is_told_in_order() -> None:
    found = timeline(MOMENTS, np.array([11, 12, 13, 30]))
    assert [(each.n, each.n_flagged) for each in found] == [(10, 0), (10, 3), (10, 0), (10, 1)]
    assert (found[0].start, found[-1].end) == ("2024-05-01T00:00:00Z", "2024-06-09T00:00:00Z")


def test_without_known_times_there_is_none() -> None:
    unknown = replace(MOMENTS, codes=np.where(np.arange(40) < 5, -1, MOMENTS.codes))
    assert timeline(unknown, np.arange(5)) == ()
    assert sum(each.n_flagged for each in timeline(unknown, np.arange(8))) == 3


def test_every_finding_of_a_verdict_gets_one() -> None:
    members = np.arange(10, 20)
    group = Group("flood", members, 9.0, 1e-9, 1.0, 0.5, "Ten texts came at once.", 1.0)
    known = Evidence(np.zeros(40, np.float32), "empirical", (group,))
    verdict = decide({"x": known}, (), Circumstances(40, 1.0, 0.0, 20), 0.01, np.full(40, -1), ())
    assert [each.n_flagged for each in dated(verdict, MOMENTS).findings[0].timeline] == [0, 10, 0, 0]
    assert verdict.findings[0].timeline == ()
