"""What supports a finding and could never make one: how its samples stand, in scores that accuse nobody, among others like them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from scipy.stats import norm, rankdata

from untaint.evidence.evidence import Evidence
from untaint.evidence.finding import Verdict
from untaint.types import Labels, Mask, Scores

_AGREES = 0.9
"""AUROC from which scores are said to support a finding. Natural groups stand out as well: of 119 clusters of clean classes (Fashion-MNIST,
4,000 images) one in ten reached .85 by quantum entropy; of a large group a p-value alone says nothing."""
_LEVEL = 0.01
_KINDS = ("backdoor", "shortcut")  # findings of what a trigger could be; wrong labels and copies stretch no class by themselves
_FEWEST = 10  # members and others of their labels; fewer rank by chance


@final
@dataclass(frozen=True)
class Standing:
    """auroc: chance that a member scores above another sample of its stratum.  p_value: one-sided rank test, stratum by stratum."""

    auroc: float
    p_value: float

    @property
    def supports(self) -> bool:
        """Do the scores say what the finding says?"""
        return self.auroc >= _AGREES and self.p_value <= _LEVEL


def standing(scores: Scores, strata: Labels, members: Mask, counted: Mask) -> Standing | None:
    """How members rank among other samples of their strata; None where there are too few. counted: one row per family of copies.

    Rank sums of the strata and their variances are added up (van Elteren 1960, with weights of one).
    """
    above = pairs = middle = variance = 0.0
    sizes = np.zeros(2)
    for stratum in np.unique(strata[members & counted]):
        rows = np.flatnonzero((strata == stratum) & counted & np.isfinite(scores))
        inside = members[rows]
        m, n = int(inside.sum()), int((~inside).sum())
        if min(m, n) == 0:
            continue
        above += float(rankdata(scores[rows])[inside].sum()) - m * (m + 1) / 2
        pairs, middle, variance = pairs + m * n, middle + m * n / 2, variance + m * n * (m + n + 1) / 12
        sizes += m, n
    if sizes.min() < _FEWEST:
        return None
    return Standing(above / pairs, float(norm.sf((above - middle) / np.sqrt(variance))))


def like(labels: Labels, contradicted: Mask) -> Labels:
    """(n,) strata of label and content: hard honest samples stand out in many ways, so doubtful ones are compared with doubtful ones."""
    return np.where(labels >= 0, 2 * labels + contradicted, -1)


def corroborated(
    verdict: Verdict, evidence: Mapping[str, Evidence], strata: Labels, counted: Mask, blind: Iterable[str] = ()
) -> Verdict:
    """The verdict with a line per detector that only corroborates, in findings of backdoors. Nothing else of it changes.

    strata: (n,) which samples are compared, see `like`.
    blind: detectors that ranked planted poison no better than chance; their figure is given, and not believed.
    """
    telling = {name: result for name, result in evidence.items() if result.corroborates}
    if not telling:
        return verdict
    findings, unheard = [], set(blind)
    for found in verdict.findings:
        lines = [found.explanation]
        for name, result in telling.items() if found.kind in _KINDS else ():
            members = np.zeros(len(strata), bool)
            members[found.members] = True
            stands = standing(result.scores, strata, members, counted)
            if stands is not None:
                lines.append(f"{name}: {_said(stands, result, name in unheard)}")
        findings.append(replace(found, explanation="\n".join(lines)) if len(lines) > 1 else found)
    return replace(verdict, findings=tuple(findings))


def _said(stands: Standing, result: Evidence, blind: bool) -> str:
    figure = f"{result.corroborates} than {stands.auroc:.0%} of others with that label, as doubtful as they are (p = {stands.p_value:.1g})"
    if blind:
        return f"These samples {figure}, but it ranked planted poison no better than chance here, so that means nothing."
    if stands.supports:
        return f"These samples {figure}, which supports the finding."
    return f"These samples {figure}, which neither supports the finding nor speaks against it: many triggers do not show there."
