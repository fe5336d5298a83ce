"""Labels of a table that were flipped within a short time."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence import repeats
from untaint.evidence.evidence import Evidence, strengths
from untaint.evidence.flipped_by import Suspects, flipped_by
from untaint.evidence.source_flips import confusions, unlike_pairs
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.canvas import Sources
from untaint.features.duplicates import NearCopies
from untaint.features.judgement import Judgement
from untaint.features.moments import Moments
from untaint.types import Labels, Modality


@final
@dataclass(frozen=True)
class TimedFlips(Detector):
    """Tests each stretch of time for labels that content contradicts far more often than at all other times.

    Bins of time with equally many rows stand where `label-consensus` has sources, and are tested in the same way: flips at random
    between unlike classes, or from one class to one other, widened by how much the other bins differ among each other, so that labels
    that grow worse or better over the whole time are no alarm.

    Works when: the data say when rows were collected, and labels were flipped within a tenth of the time or less.
    Fails when: flips are spread over the whole time; what a label means was changed for a short time, honestly.
    Cost: none beyond the content feature.
    Reference: the test is our own; see `label-consensus`
    """

    id: ClassVar[str] = "timed-flips"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    sure: float = 0.5  # another class is at least this probable: more likely than not
    doubted: float = 0.05  # and the given label at most this: one in twenty
    doubted_then: float = 0.2  # the same of members, within a time that has too many: there flips are the likelier explanation

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self, content: Judgement, labels: Labels, moments: Moments, near_copies: NearCopies, class_names: tuple[str, ...]
    ) -> Evidence:
        if len(moments.starts) < FEWEST_SOURCES:
            return Evidence(strengths(labels, ()), "empirical", note=f"fewer than {FEWEST_SOURCES} different times to compare")
        usable, believed = labels >= 0, np.nan_to_num(content.probabilities)
        given = np.where(usable, believed[np.arange(len(labels)), np.maximum(labels, 0)], 1.0)
        listed, looks = (given <= self.doubted) & (believed.max(1) >= self.sure), believed.argmax(1)
        single = usable & repeats.one_each(near_copies.family, moments.codes)
        counts = confusions(moments.codes[single], looks[single], labels[single], listed[single], len(class_names))
        times = Sources(moments.codes, moments.names)
        doubtful = (given <= self.doubted_then) & (believed.max(1) >= self.sure)
        suspects = Suspects(doubtful, looks, labels, times, class_names, comparable=True, verb="collected")
        groups = flipped_by(counts, unlike_pairs(believed[usable], labels[usable]), suspects)
        return Evidence(strengths(labels, groups), "empirical", groups)
