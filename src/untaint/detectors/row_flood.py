"""Copies of rows that bear another label than what they copy, and rows that are there over and over."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.errors import FeatureUnavailable
from untaint.evidence.copied_rows import Bound, Sent, bound, contradicting, families, neighbours, pairs, sent, sides, unbound
from untaint.evidence.evidence import Evidence, Group, Trigger, strengths
from untaint.evidence.repetition import LEAST_PURE, Repeated, repeated
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.canvas import Sources
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.features.quantities import amounts
from untaint.features.table_places import spread
from untaint.types import Labels, Modality, Rows

LEAST_SHARE = 0.2
"""Of what a source sent with a label: so much must copy others' rows under another label, beyond the other way round. An honest source
that is sloppy errs both ways, and one that is strict disagrees about fewer."""
_LEAST_MIXED = 0.5  # of the copies that have the label: fewer, and most copies agree with what they copy
_BOUND = 0.6  # of the copies come from few sources beyond what those send of all rows: as for floods of images
_NAMED = 3  # sources
_SIGNIFICANT = 0.001  # corrected for all labels; the verdict corrects for detectors and asks for its own rate
_LEAST_ROWS = 60
_MOST = 50_000  # rows among which neighbours are looked for


@final
@dataclass(frozen=True)
class RowFlood(Detector):
    """Pairs each row with its nearest and asks whether one label stands against others in too many pairs of copies.

    Copies are rows far nearer to each other than to the rest: equal ones, or with jitter. Honest copies agree in their label, or where
    they are coincidences have it by chance; then at most as many pairs are mixed as the Hardy-Weinberg law says. A block of rows copied
    under a new label makes more, and is told. It is accused where few sources of six or more sent the side with that label, or one
    source hardly ever the other side. A row that is there far more often than others, moved or not, with one label is told as well,
    as a whole. Nobody is accused without sources: corrected records that stay beside the old ones look the same.

    Works when: some twenty rows were copied once under one label; or one row a dozen times in a table where rows hardly repeat.
    Fails when: the copied rows come three to nine times each in random order; rows repeat anyway (few columns of few values);
        without sources, where the label is frequent among honest copies.
    Cost: a k-d tree over 16 numbers per row.
    Reference: the exact test of too many heterozygotes, Haldane 1954, Journal of Genetics 52; the use for copies is our own
    """

    id: ClassVar[str] = "row-flood"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self, cells: Cells, labels: Labels, near_copies: NearCopies, sources: Sources, class_names: tuple[str, ...]
    ) -> Evidence:
        rows = np.flatnonzero(labels >= 0)
        if amounts(labels, class_names) is not None:
            raise FeatureUnavailable("the labels are a quantity, and copies are compared by classes")
        points = spread(cells, rows)
        if not _LEAST_ROWS <= len(rows) <= _MOST or points.shape[1] == 0:
            return Evidence(strengths(labels, ()), "empirical", note=f"needs {_LEAST_ROWS} to {_MOST:,} rows with a label")
        near = neighbours(points, rows)
        close = pairs(near)
        groups = [_often(each, labels, class_names) for each in repeated(families(near, labels), _SIGNIFICANT)]
        known = len(sources.names) >= FEWEST_SOURCES
        accused = [each for each in sent(close, labels, sources.codes) if each.p_value <= _SIGNIFICANT] if known else []
        groups += [_sent(each, near_copies, labels, sources, class_names) for each in accused if each.share >= LEAST_SHARE]
        copied = [each for each in contradicting(close, labels) if each.p_value <= _SIGNIFICANT]
        groups += [
            _copied(each, labels, class_names)
            for each in sides([bound(one, sources) if known else unbound(one) for one in copied])
        ]
        note = "" if known else f"fewer than {FEWEST_SOURCES} sources to compare with each other"
        return Evidence(strengths(labels, groups), "empirical", tuple(groups), note=note)


def _whole(rows: Rows, near_copies: NearCopies, labels: Labels, others: np.ndarray) -> Rows:
    """With all copies of theirs that have their label and are among `others`: a cluster is set aside as a whole."""
    family = near_copies.component[rows]
    copies = np.isin(near_copies.component, family[family >= 0]) & others & (labels == labels[rows[0]])
    return np.union1d(rows, np.flatnonzero(copies))


def _sent(found: Sent, near_copies: NearCopies, labels: Labels, sources: Sources, class_names: tuple[str, ...]) -> Group:
    members = _whole(found.rows, near_copies, labels, sources.codes == found.source)
    name, label = sources.names[found.source], class_names[found.label]
    explanation = (
        f"{len(found.rows):,} rows from '{name}', labelled '{label}', copy rows of other sources that bear another label; the other way "
        f"round it is {found.back:,}."
    )
    trigger = Trigger("duplicate", "rows that were copied", {"copies": len(members)})
    return Group(
        "flood",
        members,
        float(len(found.rows)),
        found.p_value,
        found.share,
        LEAST_SHARE,
        explanation,
        1.0,
        target_label=label,
        trigger=trigger,
    )


def _copied(found: Bound, labels: Labels, class_names: tuple[str, ...]) -> Group:
    """Accused where few sources sent most of them."""
    copied, label, sure = found.copied, class_names[found.copied.label], found.beyond >= _BOUND
    count, usual = len(copied.rows), class_names[int(np.bincount(labels[copied.others]).argmax())]
    said = (
        f"{count:,} rows labelled '{label}' are copies of rows with other labels, most often '{usual}'; {copied.same:,} pairs of copies "
        "agree in that label."
    )
    who = f" {len(found.rows):,} of them came from {', '.join(map(repr, found.names[:_NAMED]))}."
    doubt = " Corrected records look like that, and so does a block copied under a new label; sources would decide it."
    return Group(
        "flood",
        found.rows if sure else copied.rows,
        float(count),
        max(copied.p_value, found.chance) if sure else copied.p_value,
        count / (count + copied.same),
        _LEAST_MIXED,
        said + (who if sure else doubt),
        1.0 if sure else 0.0,
        target_label=label,
        source_label=usual,
        trigger=Trigger("duplicate", "rows that were copied", {"copies": count}),
    )


def _often(found: Repeated, labels: Labels, class_names: tuple[str, ...]) -> Group:
    """Rows that are there too often, always with one label."""
    label, many = class_names[found.label], len(found.families)
    whom = (
        f"One row is there {len(found.rows):,} times" if many == 1 else f"{many:,} rows are there {found.least:,} times or more"
    )
    pure = float((labels[found.rows] == found.label).mean())
    explanation = (
        f"{whom}, copies moved a little counted, labelled '{label}', where no other is there more than {found.usual:,} times. Rows that "
        "were repeated to balance classes look the same; sources would decide it."
    )
    trigger = Trigger("duplicate", "rows that are repeated", {"copies": len(found.rows)})
    return Group(
        "flood",
        found.rows,
        float(len(found.rows)),
        found.p_value,
        pure,
        LEAST_PURE,
        explanation,
        0.0,
        target_label=label,
        trigger=trigger,
    )
