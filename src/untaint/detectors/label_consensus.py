"""Labels that nothing in the image supports: a list to review, and a test of who sent them."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence import repeats
from untaint.evidence.evidence import Evidence
from untaint.evidence.flipped_by import Suspects, flipped_by
from untaint.evidence.lapsed_labels import lapsed_precision
from untaint.evidence.source_flips import confusions, unlike_pairs
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.canvas import Sources
from untaint.features.duplicates import NearCopies
from untaint.features.judgement import Judgement
from untaint.features.table_content import TableContent
from untaint.features.text_content import TextContent
from untaint.types import Labels, Modality, Probabilities


@final
@dataclass(frozen=True)
class LabelConsensus(Detector):
    """Ranks samples by how little cross-fitted models of the content believe their label, and tests each source for too many.

    Where several sources, annotators for instance, labelled the same image, what the others said counts as well.
    No model that judges a sample has seen it; where networks may be trained, two that saw half of the set each have as much of
    a say as the content models. Honest data have confident contradictions too (3 % of Fashion-MNIST), so the
    list is for review and accuses nobody. A source is a finding when its labels contradict content far more often than
    everybody else's do for the same labels: between unlike classes (flips at random), or from one class to one other (aimed
    flips), widened by how much the other sources differ among each other. Of fewer than six sources of texts it is a shortcut: a
    collection of another kind is judged worse by the words of the others.

    Works when: flips are random or fall between unlike classes; or one source or annotator did them.
    Fails when: classes look alike and no source is known: a flipped shirt is a plausible T-shirt. The verdict then says so.
    Cost: none beyond the content feature, and the held-out networks of `counterfactual` where the budget has them.
    Reference: cross-fitted self-confidence, Northcutt, Jiang, Chuang 2021, arXiv 1911.00068 (sec. 4.2)
    """

    id: ClassVar[str] = "label-consensus"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "text", "table"})
    sure: float = 0.5  # another class is at least this probable: more likely than not
    doubted: float = 0.05  # and the given label at most this: one in twenty
    close: float = 0.2  # share of the list within which its flips must be known for one number to be told: ten points either way

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        content: Judgement,
        labels: Labels,
        sources: Sources,
        near_copies: NearCopies,
        class_names: tuple[str, ...],
        held_out_probabilities: Probabilities | None = None,
    ) -> Evidence:
        usable, believed = labels >= 0, content.probabilities
        if held_out_probabilities is not None:
            believed = (believed + held_out_probabilities) / 2
        believed = repeats.informed(believed, labels, near_copies.family, sources.codes)
        given = np.where(usable, believed[np.arange(len(labels)), np.maximum(labels, 0)], np.nan)
        best = np.nan_to_num(believed, nan=0.0)
        listed = usable & (np.nan_to_num(given, nan=1.0) <= self.doubted) & (best.max(1) >= self.sure)
        rows = np.flatnonzero(listed)
        order = rows[np.argsort(given[rows], kind="stable")]
        suggested = {int(row): class_names[int(best[row].argmax())] for row in order}
        looks, unlike = best.argmax(1), unlike_pairs(best[usable], labels[usable])
        single = usable & repeats.one_each(near_copies.family, sources.codes)
        counts = confusions(sources.codes[single], looks[single], labels[single], listed[single], len(class_names))
        comparable = not isinstance(content, TextContent) or len(sources.names) >= FEWEST_SOURCES
        suspects = Suspects(listed, looks, labels, sources, class_names, comparable)
        groups = flipped_by(counts, unlike, suspects) if len(sources.names) > 1 else ()
        scores = (-np.log(np.clip(given, 1e-6, 1))).astype(np.float32)
        listable = self._listable(best[usable])
        if not isinstance(content, TableContent):
            precision = expected_precision(labels[rows], looks[rows], listable, unlike)
            return Evidence(scores, "empirical", groups, order, precision, suggested)
        low, high = lapsed_precision(best[usable], labels[usable], listed[usable], listable)
        known = (low + high) / 2 if high - low <= self.close else float("nan")
        return Evidence(scores, "empirical", groups, order, known, suggested, precision_between=(low, high))

    def _listable(self, probabilities: np.ndarray) -> np.ndarray:
        """(k, k) rows that look like c and would be listed if their label were y."""
        looks, sure = probabilities.argmax(1), probabilities.max(1) >= self.sure
        doubted = (probabilities <= self.doubted) & sure[:, None]
        return np.stack([doubted[looks == code].sum(0) for code in range(probabilities.shape[1])])


def expected_precision(given: Labels, looks: Labels, listable: np.ndarray, unlike: np.ndarray) -> float:
    """Share of the listed rows that are flipped at random, NaN when it cannot be told.

    Honest confusion falls on look-alike classes, random flips on all pairs alike: over unlike pairs (rows listed that look
    like c and are labelled y) / (rows that look like c and would be listed with label y) is the flip rate per pair. Flips
    aimed at one pair are not counted, so this is a floor. listable: (k, k) the latter, for every (c, y).
    unlike: (k, k) pairs (c, y) that honest rows are not confused over. Needs at least four classes.
    """
    classes = len(unlike)
    if classes < 4 or len(given) == 0:
        return float("nan")
    listed = np.zeros((classes, classes))
    np.add.at(listed, (looks, given), 1)
    rate = float((listed * unlike).sum() / max((listable * unlike).sum(), 1))
    return min(1.0, rate * float(listable[~np.eye(classes, dtype=bool)].sum()) / len(given))
