"""Verdicts of several rounds, each over what the one before left, become one.

Round k + 1 is looked at only when round k accused somebody, and its null hypothesis is that what is left is clean: a fixed
sequence of tests, so no alpha is divided (Maurer, Hothorn, Lehmacher 1995; Westfall, Krishen 2001,
doi 10.1016/S0378-3758(01)00077-5). A clean set has a false alarm only when its first round has one; of a poisoned set, the
first round that looks at clean rows alone accuses with probability alpha at most, and only after that are there more.
Taking out the most suspicious rows thins the tails of what is left, which makes later rounds quieter, not louder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from untaint.evidence.finding import Finding, Verdict
from untaint.evidence.verdict import accusation
from untaint.types import Rows

_METHOD = "Across rounds: a fixed sequence, each round only after the one before accused somebody, each at alpha."


@final
@dataclass(frozen=True)
class Round:
    """One round's verdict; rows: the rows of the whole set that it looked at."""

    verdict: Verdict
    rows: Rows


def joined(rounds: Sequence[Round]) -> Verdict:
    """The first verdict with the alarms of all later ones, in rows of the whole set, numbered through."""
    first = rounds[0].verdict
    if len(rounds) == 1:
        return first
    later = [_told(found, part, number) for number, part in enumerate(rounds[1:], 2) for found in _alarms(part.verdict)]
    findings = [*_alarms(first), *later, *(found for found in first.findings if not found.alarm)]
    numbered = tuple(replace(finding, id=f"F{number}") for number, finding in enumerate(findings, 1))
    reasons = (accusation(numbered, first.alpha), *(_outcome(part, number) for number, part in enumerate(rounds[1:], 2)))
    return replace(first, findings=numbered, reasons=reasons, method=f"{first.method} {_METHOD}")


def _alarms(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.alarm]


def _told(finding: Finding, part: Round, number: int) -> Finding:
    note = f"Found in round {number}, among the {len(part.rows):,} samples that earlier rounds did not accuse. "
    return replace(finding, members=part.rows[finding.members], explanation=note + finding.explanation)


def _outcome(part: Round, number: int) -> str:
    n = len(_alarms(part.verdict))
    found = f"{n} finding(s) more" if n else "nothing more"
    return f"Round {number} looked again at the {len(part.rows):,} samples that were left: {found}."
