"""A faint fixed pattern laid over images, found by a whitened matched filter."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.triggers import additive
from untaint.features.content import Content, contradiction
from untaint.features.duplicates import NearCopies
from untaint.numerics import counts
from untaint.types import Embeddings, Labels, Mask, Pixels, Rows

LEAST_EFFECT = 2 / 3
"""Of the scores beyond 3, this share must lie beyond 7: a second population, not the thinning tail of the first. Faint static
triggers reach 0.83 and more; tails of clean classes that clear the significance test stay under 0.6."""
_SEED = 4.0  # standard scores from which a contradicted sample joins the next round
_SURE = 8.0  # and from which any sample does
_CUT = 5.0  # members lie above the valley, which is looked for from here on


@final
@dataclass(frozen=True)
class MatchedFilter(Detector):
    """Finds a fixed faint pattern shared by the contradicted samples of a class: mean high-pass residual, whitened, held out.

    Residuals (image minus its blur) of a class's contradicted samples are averaged against all others and whitened by the
    pooled covariance: the optimal linear filter for a fixed pattern in coloured noise. Scores come from folds that did not
    shape the filter; three rounds of reseeding purify it. A trigger makes a second population far out in the scores of the
    contradicted samples; honest ones that happen to resemble the pattern are not contradicted and do not count.

    Works when: one pattern is added or blended in, however faint, from about 0.3 % of the set on, or a fixed patch.
    Fails when: the pattern moves, warps or differs per image; when labels are clean; when more than about half of the
        labelled class is poison; when so much is poisoned that content no longer contradicts (the spectral test sees that).
    Cost: one covariance and one product over residuals; needs no network. A quarter of the proxy's training.
    Reference: matched filter, North 1943 (reprinted doi 10.1109/PROC.1963.2383); attack: Chen et al. 2017, arXiv 1712.05526
    """

    id: ClassVar[str] = "matched-filter"
    folds: int = 4
    rounds: int = 3
    least_seeds: int = 8

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        fine_grain: Embeddings,
        pixels: Pixels,
        labels: Labels,
        content: Content,
        near_copies: NearCopies,
        class_names: tuple[str, ...],
    ) -> Evidence:
        rows = np.flatnonzero(labels >= 0)
        whitened = fine_grain if len(rows) == len(labels) else fine_grain[rows]
        folds, single = near_copies.folds(self.folds, 0)[rows], near_copies.representatives[rows]
        scores = np.full(len(labels), np.nan, np.float32)
        groups = []
        for number, name in enumerate(class_names):
            inside = labels[rows] == number
            found = self._filter(whitened, inside, content.contradicted[rows], folds)
            if found is None:
                scores[rows[inside]] = 0
                continue
            scores[rows[inside]] = found[inside]
            p_value, separation = counts.tail_excess(found[inside & single & content.contradicted[rows]])
            members = rows[inside & (found > counts.valley(found[inside], _CUT))]
            if p_value * len(class_names) <= _WORTH_A_LOOK and separation > 0.5:
                corrected = min(1.0, p_value * len(class_names))
                groups.append(_group(members, corrected, separation, Suspects(pixels, labels, content, rows), name))
        return Evidence(scores, "empirical", tuple(groups))

    def _filter(self, whitened: np.ndarray, inside: Mask, contradicted: Mask, folds: np.ndarray) -> np.ndarray | None:
        """Standardised held-out scores of every row, or None when a class has too few contradicted samples to start from."""
        seeds = inside & contradicted
        for _ in range(self.rounds):
            if seeds.sum() < self.least_seeds:
                return None
            scores = _held_out(whitened, seeds, folds)
            grown = inside & (scores > _SEED) & (contradicted | (scores > _SURE))
            if grown.sum() < self.least_seeds:
                return scores
            seeds = grown
        return _held_out(whitened, seeds, folds)


_WORTH_A_LOOK = 0.05


def _held_out(whitened: np.ndarray, seeds: Mask, folds: np.ndarray) -> np.ndarray:
    """Scores along (mean of seeds - mean of the rest) of the other folds, in robust standard units of the non-seeds."""
    scores = np.zeros(len(whitened), np.float32)
    numbers = np.unique(folds)
    members = [np.flatnonzero(folds == number) for number in numbers]
    seeded = np.stack([whitened[part[seeds[part]]].sum(0) for part in members])
    total = np.stack([whitened[part].sum(0) for part in members])
    n_seeded = np.array([seeds[part].sum() for part in members])
    for i, part in enumerate(members):
        inside, n_inside = seeded.sum(0) - seeded[i], max(n_seeded.sum() - n_seeded[i], 1)
        outside, n_outside = total.sum(0) - total[i] - inside, len(whitened) - len(part) - n_inside
        raw = whitened[part] @ (inside / n_inside - outside / max(n_outside, 1))
        rest = raw[~seeds[part]]
        centre = np.median(rest)
        scores[part] = (raw - centre) / max(1.4826 * float(np.median(np.abs(rest - centre))), 1e-9)
    return scores


@final
@dataclass(frozen=True)
class Suspects:
    """What a group is explained with; rows: the usable ones."""

    pixels: Pixels
    labels: Labels
    content: Content
    rows: Rows


def _group(members: Rows, p_value: float, separation: float, suspects: Suspects, name: str) -> Group:
    against = contradiction(suspects.content, suspects.pixels, suspects.labels, members)
    explanation = (
        f"One fixed pattern is present in all of these images and in hardly any other: {separation:.0%} of the suspicious ones "
        f"stand apart from the rest of '{name}'. Judged without them, what they show speaks "
        f"against the label ({against:.0%} on a scale where honest sub-classes stay under 70%)."
    )
    statistic = -np.log10(max(p_value, 1e-300))
    return Group(
        "backdoor",
        members,
        statistic,
        min(p_value, 1.0),
        separation,
        LEAST_EFFECT,
        explanation,
        against,
        target_label=name,
        trigger=additive(suspects.pixels, suspects.content, members, suspects.rows),
    )
