"""Groups of several detectors that describe the same thing become one."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.evidence.evidence import Group, Kind, Trigger
from untaint.evidence.triggers import faint
from untaint.types import Rows

_SAME = 0.5
"""Two groups are one when half of the smaller lies in the larger: detectors draw different borders around one attack."""
_MOST_OF = 0.8
"""A trigger seen in fewer of the accused is a fragment of the one that all of them carry."""
_HELD = 0.8
"""A core is nine tenths attack and one tenth hard honest samples, so a sharp group of the whole attack holds more than this."""
_TELLING = ("patch", "additive", "duplicate")
"""Which trigger to show when several were recovered: the most concrete first. But a faint pattern over the whole image comes
before all: what looks like a patch is then a part of it, where it lies on a plain background."""


@final
@dataclass(frozen=True)
class Candidate:
    """A group that passed its gates, the detector that proposed it, and its p-value corrected for all detectors."""

    detector: str
    group: Group
    p_value: float


@final
@dataclass(frozen=True)
class Merged:
    """One accusation: everything several candidates agree on."""

    kind: Kind
    members: Rows
    p_value: float
    contradiction: float
    detectors: tuple[str, ...]
    explanation: str
    target_label: str | None
    source_label: str | None
    trigger: Trigger | None


def merge(candidates: list[Candidate]) -> list[Merged]:
    """Candidates joined where they overlap (backdoors) or push the same label the same way (floods), strongest first."""
    piles: list[list[Candidate]] = []
    for candidate in candidates:
        joined = [pile for pile in piles if any(_belong(candidate, other) for other in pile)]
        kept = [pile for pile in piles if not any(pile is other for other in joined)]
        piles = [*kept, [candidate, *(other for pile in joined for other in pile)]]
    return sorted((_merged(pile) for pile in piles), key=lambda found: (found.p_value, -len(found.members)))


def _belong(a: Candidate, b: Candidate) -> bool:
    if a.group.kind == b.group.kind == "flood":
        return a.group.target_label == b.group.target_label
    if "label-flip" in {a.group.kind, b.group.kind}:
        return False
    shared = len(np.intersect1d(a.group.members, b.group.members, assume_unique=True))
    return shared >= _SAME * min(len(a.group.members), len(b.group.members))


def _merged(pile: list[Candidate]) -> Merged:
    """The pile under its strongest member; a flood that also looks like a backdoor stays a flood."""
    order = sorted(
        pile, key=lambda candidate: (candidate.group.kind != "flood", candidate.p_value, -len(candidate.group.members))
    )
    groups = [candidate.group for candidate in order]
    widest = max(groups, key=lambda group: len(group.members))  # an all-to-all trigger has parts that look aimed
    told = sorted(order, key=lambda candidate: _telling(candidate.group, len(widest.members)))
    explanations: dict[str, str] = {}
    for candidate in told:
        explanations.setdefault(candidate.detector, candidate.group.explanation)
    (_, first), *others = explanations.items()
    clusters = sum(group.kind == "flood" for group in groups)
    several = f"{clusters} clusters of near-copies push the same label; the largest: " if clusters > 1 else ""
    return Merged(
        groups[0].kind,
        _members(groups),
        min(candidate.p_value for candidate in pile),
        max(group.contradiction for group in groups),
        tuple(sorted({candidate.detector for candidate in pile})),
        "\n".join([several + first, *(f"{detector}: {text}" for detector, text in others)]),
        widest.target_label,
        widest.source_label,
        next((candidate.group.trigger for candidate in told if candidate.group.trigger is not None), None),
    )


def _members(groups: list[Group]) -> Rows:
    """Everybody in a sharp group, and in a grown one unless sharp groups already hold its core: then it adds only its border."""
    sharp = [group.members for group in groups if group.core is None]
    certain = np.unique(np.concatenate([*sharp, np.empty(0, np.int64)]))
    grown = [group.members for group in groups if group.core is not None and np.isin(group.core, certain).mean() < _HELD]
    return np.unique(np.concatenate([certain, *grown]))


def _telling(group: Group, most: int) -> tuple[bool, int]:
    """How well a group tells the whole finding: it covers most of it, and its trigger is concrete."""
    kind = group.trigger.type if group.trigger is not None else ""
    place = _TELLING.index(kind) if kind in _TELLING else len(_TELLING)
    return len(group.members) < _MOST_OF * most, -1 if faint(group.trigger) else place
