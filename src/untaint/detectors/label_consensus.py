"""Labels that nothing in the image supports: a list to review, and a test of who sent them."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy.stats import fisher_exact

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.features.canvas import Sources
from untaint.features.content import Content
from untaint.features.duplicates import NearCopies
from untaint.types import Labels, Mask

LEAST_EFFECT = 0.10
"""Points by which a source's share of confident contradictions must exceed everyone else's: a contributor whose images are
merely harder differs by less, and is unsure rather than confidently wrong."""


@final
@dataclass(frozen=True)
class LabelConsensus(Detector):
    """Ranks samples by how little cross-fitted models of the content believe their label, and tests each source for too many.

    No model that judges a sample has seen it. Honest data have confident contradictions too (3 % of Fashion-MNIST), so the
    list is for review and accuses nobody. A source with many more of them than all others together is a finding.

    Works when: flips are random or fall between unlike classes; or one source or annotator did them.
    Fails when: classes look alike and no source is known: a flipped shirt is a plausible T-shirt. The verdict then says so.
    Cost: none beyond the content feature.
    Reference: cross-fitted self-confidence, Northcutt, Jiang, Chuang 2021, arXiv 1911.00068 (sec. 4.2)
    """

    id: ClassVar[str] = "label-consensus"
    sure: float = 0.5  # another class is at least this probable: more likely than not
    doubted: float = 0.05  # and the given label at most this: one in twenty

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self, content: Content, labels: Labels, sources: Sources, near_copies: NearCopies, class_names: tuple[str, ...]
    ) -> Evidence:
        usable = labels >= 0
        given = np.where(usable, content.probabilities[np.arange(len(labels)), np.maximum(labels, 0)], np.nan)
        best = np.nan_to_num(content.probabilities, nan=0.0)
        listed = usable & (np.nan_to_num(given, nan=1.0) <= self.doubted) & (best.max(1) >= self.sure)
        rows = np.flatnonzero(listed)
        order = rows[np.argsort(given[rows], kind="stable")]
        suggested = {int(row): class_names[int(best[row].argmax())] for row in order}
        groups = _by_source(listed, usable & near_copies.representatives, labels, sources, class_names)
        scores = (-np.log(np.clip(given, 1e-6, 1))).astype(np.float32)
        looks = best.argmax(1)
        precision = expected_precision(labels[rows], looks[rows], looks[usable], len(class_names))
        return Evidence(scores, "empirical", groups, order, precision, suggested)


def expected_precision(given: Labels, looks: Labels, all_looks: np.ndarray, classes: int) -> float:
    """Share of the listed rows that are flipped at random, NaN when it cannot be told.

    Honest confusion falls on few pairs of look-alike classes, random flips on all pairs alike: the median over pairs of
    (rows that look like c and are labelled y) / (rows that look like c) is the flip rate per pair. Flips aimed at one pair
    are not counted, so this is a floor. Needs at least four classes: with fewer there are no bystander pairs.
    """
    if classes < 4 or len(given) == 0:
        return float("nan")
    listed = np.zeros((classes, classes))
    np.add.at(listed, (looks, given), 1)
    size = np.bincount(all_looks, minlength=classes)[:, None].clip(1)
    rate = float(np.median((listed / size)[~np.eye(classes, dtype=bool)]))
    return min(1.0, rate * float(size.sum()) * (classes - 1) / len(given))


def _by_source(listed: Mask, usable: Mask, labels: Labels, sources: Sources, class_names: tuple[str, ...]) -> tuple[Group, ...]:
    """A group for each source whose share of contradictions is significantly above that of all others. usable: one row per family."""
    known = usable & (sources.codes >= 0)
    groups = []
    for code in np.unique(sources.codes[listed & known]):
        name = sources.names[code]
        inside = known & (sources.codes == code)
        outside = known & ~inside
        if not outside.any():
            continue
        table = [[int((listed & side).sum()), int((~listed & side).sum())] for side in (inside, outside)]
        p_value = float(fisher_exact(np.array(table), alternative="greater").pvalue) * len(sources.names)
        effect = table[0][0] / sum(table[0]) - table[1][0] / sum(table[1])
        if p_value > 0.05 or effect <= 0:
            continue
        members = np.flatnonzero(listed & (sources.codes == code))
        label = int(np.bincount(labels[members]).argmax())
        explanation = (
            f"{table[0][0]:,} of the {sum(table[0]):,} samples from '{name}' carry a label their content contradicts "
            f"({table[0][0] / sum(table[0]):.1%}, against {table[1][0] / sum(table[1]):.1%} from everybody else)."
        )
        groups.append(
            Group(
                "label-flip",
                members,
                effect,
                min(1.0, p_value),
                effect,
                LEAST_EFFECT,
                explanation,
                1.0,
                target_label=class_names[label],
            )
        )
    return tuple(groups)
