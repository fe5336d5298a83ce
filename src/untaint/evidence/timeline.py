"""When the samples of a finding were collected: their share of every bin of time."""

from dataclasses import replace

import numpy as np

from untaint.evidence.finding import TimeShare, Verdict
from untaint.features.moments import Moments
from untaint.types import Rows


def timeline(moments: Moments, members: Rows) -> tuple[TimeShare, ...]:
    """Every bin in order, those without members as well; () where nobody knows when any of them was collected."""
    codes = moments.codes[members]
    flagged = np.bincount(codes[codes >= 0], minlength=len(moments.starts))
    size = np.bincount(moments.codes[moments.codes >= 0], minlength=len(moments.starts))
    if not flagged.any():
        return ()
    bins = zip(moments.starts, moments.ends, size.tolist(), flagged.tolist(), strict=True)
    return tuple(TimeShare(_iso(start), _iso(end), n, n_flagged) for start, end, n, n_flagged in bins)


def dated(verdict: Verdict, moments: Moments) -> Verdict:
    """The verdict with a time line in every finding."""
    return replace(verdict, findings=tuple(replace(each, timeline=timeline(moments, each.members)) for each in verdict.findings))


def _iso(when: np.datetime64) -> str:
    return f"{when.astype('datetime64[s]')}Z"
