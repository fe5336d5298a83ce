"""Whether what an audit accuses came just before the snapshot: evidence beside a finding's own, which raises no alarm by itself."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from untaint.evidence.finding import Finding, Verdict
from untaint.provenance.fresh import Fresh

_SURE = 0.01
"""p-value, corrected for the findings, from which it is said."""


class _Part(NamedTuple):
    """Members of a finding that are in the seal, and those of them that are fresh."""

    known: int
    fresh: int


def weighed(verdict: Verdict, marks: np.ndarray, fresh: Fresh) -> Verdict:
    """A verdict whose findings say where their samples are fresh more often than those of the set.

    marks: (n,) of every row, 1 = fresh, 0 = not, -1 = not in the seal.  The p-value is the tail of the hypergeometric distribution, as if
    members were drawn at random, times the number of findings. A detector that looks for bursts has chosen by time already: of its
    findings this says the same again. Nothing else changes: not the answer, not an alarm.
    """
    parts = [_part(finding, marks) for finding in verdict.findings]
    whole = _Part(int((marks >= 0).sum()), int((marks == 1).sum()))
    tested = sum(part.known > 0 for part in parts)
    told = [_told(part, whole, tested, fresh) for part in parts]
    findings = tuple(
        replace(finding, explanation=f"{finding.explanation} {said}") if said else finding
        for finding, said in zip(verdict.findings, told, strict=True)
    )
    return replace(verdict, findings=findings)


def _part(finding: Finding, marks: np.ndarray) -> _Part:
    members = marks[finding.members]
    return _Part(int((members >= 0).sum()), int((members == 1).sum()))


def _told(part: _Part, whole: _Part, tested: int, fresh: Fresh) -> str:
    from scipy.stats import hypergeom

    if not part.fresh:
        return ""
    p_value = min(1.0, float(hypergeom.sf(part.fresh - 1, whole.known, whole.fresh, part.known)) * tested)
    if p_value > _SURE:
        return ""
    return (
        f"{part.fresh:,} of its {part.known:,} samples are fresh ({fresh.why}), and {whole.fresh / whole.known:.1%} of the set "
        f"(p = {p_value:.2g}): whoever edits ahead of a snapshot looks like that, and so does an honest burst."
    )
