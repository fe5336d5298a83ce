"""The decision: which groups are accusations, which are worth a look, and what the whole set is called.

A group is an accusation when its p-value, corrected for all detectors that ran, is at most alpha *and* its effect reaches
what its detector's manual calls the least that matters *and* its content contradicts its label. Significance alone grows with n.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from untaint.evidence.combine import Candidate, Merged, merge
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.finding import Answer, Check, Confidence, Finding, Severity, SourceShare, Verdict
from untaint.evidence.sources import shares

METHOD = (
    "Within a detector: Bonferroni over everything it searched. Across detectors: Bonferroni over all that ran. "
    "An accusation needs a corrected p-value of at most alpha and the detector's least effect."
)


@final
@dataclass(frozen=True)
class Circumstances:
    """What limits an audit's say.

    assessed: share of rows looked at.  contradicted: share whose content speaks against the label, NaN = content was not
    judged.  smallest_class: rows of the smallest class, None where the data have no classes.  different: samples of the class with
    the fewest, exact copies counted once, for they show nothing new; None where the data have no classes.
    """

    n: int
    assessed: float
    contradicted: float
    smallest_class: int | None
    different: int | None = None


ADVICE = {
    "backdoor": "Set these samples aside with `untaint clean`, retrain, and audit again. Look at who delivered them.",
    "flood": "Set the whole cluster aside, not all but one: the copy that stays may be the poisoned one. Look at who sent it.",
    "label-flip": "Stop using this source until its labels were checked; relabel or set these samples aside.",
    "outlier": "Check by hand whether these samples belong to the set at all.",
    "tamper": "Do not use these samples until it is known who changed them and why.",
    "leverage": "Set these rows aside and repair them where they came from.",
    "shortcut": "Check by hand whether this pattern is natural. Sources, dates or a trusted set would decide it.",
}


_EXPLAINED = 0.5  # a shortcut of which an accusation holds more than half is that accusation, with a wider border


def decide(
    evidence: Mapping[str, Evidence],
    checks: Sequence[Check],
    circumstances: Circumstances,
    alpha: float,
    source_codes: np.ndarray,
    source_names: tuple[str, ...],
) -> Verdict:
    """Findings and the answer. evidence: by detector id, of those that ran."""
    passed = [candidate for candidate in _candidates(evidence) if _significant(candidate, alpha)]
    accused = merge([candidate for candidate in passed if _contradicts(candidate.group)])
    rows = np.concatenate([np.empty(0, np.int64), *(found.members for found in accused)])
    unexplained = [candidate for candidate in passed if not np.isin(candidate.group.members, rows).mean() > _EXPLAINED]
    natural = merge([candidate for candidate in unexplained if not _contradicts(candidate.group)])
    findings = [_finding(found, alpha, source_codes, source_names) for found in accused]
    findings += [_shortcut(found, source_codes, source_names) for found in natural]
    listed = {name: result for name, result in evidence.items() if len(result.review) and not result.corroborates}
    findings += [_review(name, result, source_codes, source_names) for name, result in listed.items()]
    numbered = tuple(replace(finding, id=f"F{number}") for number, finding in enumerate(findings, 1))
    answer, reasons = _answer(numbered, [*_unrun(checks), *_limits(circumstances), *_noise(evidence, circumstances.n)], alpha)
    p_value = min((candidate.p_value for candidate in _candidates(evidence) if _plausible(candidate)), default=1.0)
    return Verdict(answer, alpha, p_value, numbered, reasons, METHOD)


def _candidates(evidence: Mapping[str, Evidence]) -> list[Candidate]:
    """Every group with its p-value times the number of detectors that ran and may accuse."""
    accusing = {name: result for name, result in evidence.items() if not result.corroborates}
    tests = len(accusing)
    return [
        Candidate(name, group, min(1.0, group.p_value * tests)) for name, result in accusing.items() for group in result.groups
    ]


def _significant(candidate: Candidate, alpha: float) -> bool:
    group = candidate.group
    return candidate.p_value <= alpha and group.effect >= group.minimum_effect and len(group.members) > 0


def _plausible(candidate: Candidate) -> bool:
    """Has the effect and the contradiction: its p-value counts towards that of the set."""
    return candidate.group.effect >= candidate.group.minimum_effect and _contradicts(candidate.group)


def _contradicts(group: Group) -> bool:
    return group.kind == "leverage" or group.contradiction >= group.least_contradiction


def _finding(found: Merged, alpha: float, codes: np.ndarray, names: tuple[str, ...]) -> Finding:
    severity: Severity = "critical" if len(found.detectors) > 1 and found.kind == "backdoor" else "high"
    confidence: Confidence = "high" if found.p_value <= alpha / 1000 else "medium"
    return _built(found, severity, confidence, shares(codes, names, found.members), alarm=True)


def _shortcut(found: Merged, codes: np.ndarray, names: tuple[str, ...]) -> Finding:
    """Significant, but what the samples show agrees with their label: natural until something else says otherwise.

    Near-copies with right labels are no association at all, only duplicates, so they are the least severe. Nor are rows that lie far
    out and do no harm: they keep their kind and cast no doubt on the rest.
    """
    severity: Severity = "info" if found.kind == "flood" else "low"
    return _built(found, severity, "low", shares(codes, names, found.members), alarm=False)


def _built(
    found: Merged, severity: Severity, confidence: Confidence, sources: tuple[SourceShare, ...], *, alarm: bool
) -> Finding:
    kind = found.kind if alarm or found.kind in {"flood", "outlier"} else "shortcut"
    return Finding(
        "",
        kind,
        severity,
        confidence,
        found.p_value,
        found.members,
        found.detectors,
        found.explanation,
        ADVICE[kind],
        alarm,
        found.target_label,
        found.source_label,
        found.trigger,
        sources,
    )


def _review(name: str, result: Evidence, codes: np.ndarray, names: tuple[str, ...]) -> Finding:
    """The review list of a detector: ranked, with an estimated precision, accusing nobody."""
    if result.review_kind == "outlier":
        return _far(name, result, codes, names)
    if math.isnan(result.expected_precision):
        low, high = result.precision_between
        precision = (
            "How many of them are wrong cannot be estimated here."
            if math.isnan(low) or high - low > _VAGUE
            else f"How many of them are flips at random is not known: between {low:.0%} and {high:.0%}; the rest are hard cases."
        )
    else:
        precision = (
            f"Estimated precision for random flips: about {result.expected_precision:.0%}; look-alike classes make up the rest."
        )
    return Finding(
        "",
        "label-flip",
        "info",
        "low",
        1.0,
        result.review,
        (name,),
        f"{_unsupported(len(result.review))} {precision}" if len(result.review) > 1 else _unsupported(1),
        "Review them by hand; honest data have such samples too, so none of them is set aside.",
        alarm=False,
        sources=shares(codes, names, result.review),
    )


def _far(name: str, result: Evidence, codes: np.ndarray, names: tuple[str, ...]) -> Finding:
    """Rows that lie far out and are explained by the tails of their columns all the same."""
    n = len(result.review)
    many = f"These {n:,} rows lie" if n > 1 else "This row lies"
    return Finding(
        "",
        "outlier",
        "info",
        "low",
        1.0,
        result.review,
        (name,),
        f"{many} far beyond the next in a column, though no farther than values as uneven as those there do by themselves.",
        "Look whether they are slips of the pen; honest data have such rows too, so none of them is set aside.",
        alarm=False,
        sources=shares(codes, names, result.review),
    )


def _unsupported(n: int) -> str:
    return (
        f"Nothing in these {n:,} samples supports their label, most doubtful first."
        if n > 1
        else "Nothing in it supports its label."
    )


_LEAST_CLASS = 50
"""Rows of a class under which none of the tests has the power to see a few per cent of poison in it."""
_LEAST_ASSESSED = 0.95
_VAGUE = 0.95  # an interval this wide says nothing
_NOTABLE_NOISE = 0.01
"""Share of wrong labels beyond what look-alike classes explain: clean MNIST and Fashion-MNIST are estimated under 0.001."""
_BLIND = 0.35
"""Contradicted share from which content judgement is too poor to tell poison from honest errors (10 % on clean Fashion-MNIST,
about 60 % on natural photographs judged by coarse views)."""


def _answer(findings: tuple[Finding, ...], limits: list[str], alpha: float) -> tuple[Answer, tuple[str, ...]]:
    alarms = [finding for finding in findings if finding.alarm]
    if alarms:
        return "poisoned", (accusation(findings, alpha),)
    shortcuts = [finding.id for finding in findings if finding.kind == "shortcut"]
    doubts = [*limits, *(f"{name} could be natural or planted, and nothing here can tell." for name in shortcuts)]
    if doubts:
        return "cannot tell", tuple(doubts)
    return "no evidence", (f"No test reached a false-alarm rate of {alpha:g} per audit with an effect that matters.",)


def accusation(findings: Sequence[Finding], alpha: float) -> str:
    """How many findings accuse how many samples, in words."""
    alarms = [finding for finding in findings if finding.alarm]
    total = len(np.unique(np.concatenate([finding.members for finding in alarms])))
    many = (
        f"1 finding with {total:,} samples holds" if len(alarms) == 1 else f"{len(alarms)} findings with {total:,} samples hold"
    )
    return f"{many} at a false-alarm rate of {alpha:g} per audit."


def _unrun(checks: Sequence[Check]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for check in checks:
        if check.status != "ran":
            reasons.setdefault(check.reason, []).append(check.detector)
    return [f"{', '.join(names)} did not run: {reason}." for reason, names in reasons.items()]


def _noise(evidence: Mapping[str, Evidence], n: int) -> list[str]:
    """Wrong labels in numbers that matter: honest noise and random flips look alike without sources or repeated labels."""
    found = []
    for result in evidence.values():
        closely = not math.isnan(result.expected_precision)
        count = (result.expected_precision if closely else result.precision_between[0]) * len(result.review)
        if len(result.review) and count >= _NOTABLE_NOISE * n:
            found.append(
                f"{'About' if closely else 'At least'} {count:,.0f} labels look wrong. Whether somebody flipped them, only sources, "
                "annotators or repeated labels can tell."
            )
    return found


def _limits(circumstances: Circumstances) -> list[str]:
    limits = []
    if circumstances.assessed < _LEAST_ASSESSED:
        limits.append(f"Only {circumstances.assessed:.1%} of the samples could be assessed.")
    if circumstances.contradicted > _BLIND:
        limits.append(f"Content cannot be judged well enough: it contradicts {circumstances.contradicted:.0%} of all labels.")
    if circumstances.smallest_class is not None and circumstances.smallest_class < _LEAST_CLASS:
        limits.append(f"The smallest class has {circumstances.smallest_class} samples; under {_LEAST_CLASS} little can be seen.")
    elif circumstances.different is not None and circumstances.different < _LEAST_CLASS:
        limits.append(
            f"Some class has {circumstances.different:,} different samples, the rest are copies; under {_LEAST_CLASS} little can be seen."
        )
    return limits
