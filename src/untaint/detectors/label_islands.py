"""Labels flipped around one point of a table: an island of a label in the midst of another."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.label_islands import Island, apart, gap, sent_by_one
from untaint.features.canvas import Sources
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.features.quantities import amounts
from untaint.features.table_copies import placed
from untaint.features.table_places import spread
from untaint.numerics.holes import rest
from untaint.numerics.islands import held, islands, reach, unheard_of
from untaint.numerics.neighbours import nearest
from untaint.types import Labels, Modality

LEAST_EFFECT = 0.5
"""How much larger the island's share of its label must be than around it, and than the rest of the table expects it to be: a majority
turned round. A source with rows of its own kind owns islands that the rest expects to nine tenths."""
_SIZES = (3, 5, 8, 12, 18, 27, 40, 60, 100)  # rows of a ball, each half as many again
_LARGEST = 0.02  # share of the rows that a ball may hold; a larger one is a class, or part of it
_MOST = 6_000  # rows searched; of more a sample, in which an island has the same share
_MOST_CLASSES = 100  # of more none has rows enough
_SIGNIFICANT = 0.05  # groups above are not told at all
_MOSTLY = 0.5  # share of an island that its sender sent: else others say the same


@final
@dataclass(frozen=True)
class LabelIslands(Detector):
    """Scans balls of neighbours for labels that the ring around them does not have.

    Models that learn from other rows learn an island of flipped labels as well, so cross-fitted judges do not contradict it. Here,
    for every row and nine sizes, the share of its label among its nearest rows is compared with the share in the ring around them;
    and the best of these balls also with what a regression says of them that has forgotten the whole ball, for a class that lies
    apart is an island in its ring too. The lesser of both counts. Distances are measured twice, between standardised columns and
    between ranks, for nobody knows which the neighbourhood was chosen by. Copies of a row count once. A row's score is the best
    ball with its label that it lies in.
    Honest tables have islands too: an island is accused if one source sent it and sent neither the rows around nor that label
    elsewhere, and else told if it stands out from all others of the same table, for it may be a fact that few rows know.

    Works when: the labels of about one row in a hundred around a point are flipped, where the classes are otherwise apart.
    Fails when: classes are mixed there, or the rows around have the new label anyway; the neighbourhood was chosen by a distance
    unlike both; there are under a hundred rows; labels are a quantity.
    Cost: neighbours of 6,000 rows at most, and one regression.
    Reference: Kulldorff 1997, A spatial scan statistic (sec. 4), with the ring as outside; the test of the best is our own
    """

    id: ClassVar[str] = "label-islands"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self, cells: Cells, labels: Labels, near_copies: NearCopies, sources: Sources, class_names: tuple[str, ...]
    ) -> Evidence:
        scores = np.where(labels >= 0, 0.0, np.nan).astype(np.float32)
        rows = np.flatnonzero((labels >= 0) & near_copies.representatives)
        note = ""
        if len(rows) > _MOST:
            note = f"looked at {_MOST:,} rows drawn from {len(rows):,}; the others have no score"
            rows = np.sort(np.random.default_rng(0).choice(rows, _MOST, replace=False))
        used, given = np.unique(labels[rows], return_inverse=True)
        if len(used) > _MOST_CLASSES or amounts(labels, class_names) is not None:
            return Evidence(np.full_like(scores, np.nan), "empirical", note=f"{len(used):,} different labels are no classes")
        sizes = tuple(size for size in _SIZES if size <= max(_SIZES[0], _LARGEST * len(rows)))
        spaces = spread(cells, rows), placed(cells, rows)
        if len(rows) < 2 * reach(sizes) or spaces[0].shape[1] == 0:
            return Evidence(scores, "empirical", note="too few rows to compare neighbours with the ring around them")
        judge = rest(np.asarray(spaces[1], np.float64), given, len(used), np.random.default_rng(0))
        groups: list[Group] = []
        scores[rows] = 0
        for points in spaces:
            near = _neighbours(np.asarray(points, np.float64), reach(sizes))
            ratios = unheard_of(near, islands(near, given, sizes), given, sizes, judge)
            scores[rows] = np.maximum(scores[rows], held(near, ratios, given, sizes))
            found = _groups(apart(near, ratios, given, sizes), rows, labels, sources, class_names)
            groups += [replace(group, p_value=min(1.0, group.p_value * len(spaces))) for group in found]
        scores = np.where(labels >= 0, _shared(scores, near_copies.family, rows), np.nan).astype(np.float32)
        return Evidence(scores, "empirical", tuple(groups), note=note)


def _neighbours(points: np.ndarray, count: int) -> np.ndarray:
    """(m, count) rows by distance, each first its own also where others are equal to it."""
    near, own = nearest(points, count), np.arange(len(points))
    at = np.where((near == own[:, None]).any(1), (near == own[:, None]).argmax(1), count - 1)
    near[own, at] = near[:, 0]
    near[:, 0] = own
    return near


def _shared(scores: np.ndarray, family: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Copies of a row have its score; NaN for those of none that was looked at."""
    best = np.full(int(family.max(initial=0)) + 1, np.nan, np.float32)
    np.fmax.at(best, family[rows], scores[rows])
    return np.asarray(best[family])


def _groups(
    found: list[Island], rows: np.ndarray, labels: Labels, sources: Sources, class_names: tuple[str, ...]
) -> tuple[Group, ...]:
    """Every island that one source sent, and else the best, if it stands out."""
    codes = sources.codes[rows]
    groups: list[Group] = []
    for island in found:
        sender, chance = sent_by_one(island, codes, labels[rows])
        share = float((codes[island.members] == sender).mean())
        if chance * len(found) <= _SIGNIFICANT and share > _MOSTLY:
            told = f"{share:.0%} of them came from '{sources.names[sender]}', unlike the rows around and those of that label elsewhere."
            groups.append(_group(island, rows, labels, class_names, (min(1.0, 2 * chance * len(found)), told, 1.0)))
    alone = 2 * gap([island.ratio for island in found])
    if not groups and alone <= _SIGNIFICANT:
        told = f"Elsewhere in this table it is {found[1].ratio:.1f} at most."
        groups.append(_group(found[0], rows, labels, class_names, (min(1.0, alone), told, 0.0)))
    return tuple(groups)


def _group(
    island: Island, rows: np.ndarray, labels: Labels, class_names: tuple[str, ...], test: tuple[float, str, float]
) -> Group:
    """test: p-value, the sentence that explains it, contradiction."""
    members, others = rows[island.members], labels[rows[island.around]]
    label = int(labels[members[0]])
    share = float((others == label).mean())
    surprise = 1 - float(np.exp(-island.ratio / len(members)))  # a ball all of one label, by whichever expects more of it
    usual = np.bincount(others[others != label], minlength=len(class_names))
    explanation = (
        f"{len(members):,} rows labelled '{class_names[label]}' lie together where {share:.0%} of the rows around have that label "
        f"(log-likelihood ratio {island.ratio:.1f}). {test[1]}"
    )
    return Group(
        "label-flip",
        members,
        island.ratio,
        test[0],
        min(1 - share, surprise),
        LEAST_EFFECT,
        explanation,
        test[2],
        target_label=class_names[label],
        source_label=class_names[int(usual.argmax())] if usual.any() else None,
    )
