"""A row or a few that lie so far out that they wreck what learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.far_rows import FAR, FarOut, far_out, hidden
from untaint.evidence.leave_out import Effect, leave_out
from untaint.features.cells import Cells
from untaint.features.quantities import amounts
from untaint.numerics.perceptron import Perceptron
from untaint.types import Labels, Modality

_HARM = 0.05
"""Accuracy that leaving the rows out is worth. One honest row among 2,000 is worth less than a hundredth."""
_SURE = 1e-3  # chance of such a gain where the rows do nothing
_TRIED = 5  # sets of rows that are left out in turn, the surest first
_ATTACK = 100.0
"""Times as far out as the next, from which rows that do harm are accused. Readings of one honest set lay 6 to 40 times as far out, cost
gradient descent up to thirty points, and made five clean tables of 300 `poisoned`."""
_LEAST = 60  # rows; half of them learn
_NAMED = 3  # columns that are spelled out
_LISTED = 20  # rows that a tail explains and that are listed all the same, the least explained first
_TARGET = "the label"


@final
@dataclass(frozen=True)
class FarRows(Detector):
    """Looks for at most five rows beyond a gap in a column of numbers, or in the distance of whole rows, and measures their harm.

    How far out the rows are is measured from the median, and the gap in front of them against the law of the largest quarter of the
    values before it: a heavy tail has large gaps of its own. Then small models learn with those rows and without, scaled as people
    scale: linear ones, and a network where the budget has any; the report has the effect on both. Rows a hundred times as far out
    as the next, beyond what the tail explains, that cost accuracy are accused; those nearer or without harm are only told. Rows five
    times as far out as the next that a heavy tail does explain are told where they cost accuracy, and else listed for a look. Where
    labels are a quantity they are one more column. The note names the columns whose tails would hide a number ten times as large as
    any.

    Works when: the rows are ten times as far out as the next in a column without a heavy tail, then they are told; a hundred times in
        most columns, and accused where they cost a model accuracy.
    Fails when: the tail is so heavy that honest values leave such gaps (then they are listed at most); there are more than five rows;
        the column has fewer than some fifty values besides its median (ten times the next is listed then); the rows wreck only a
        model unlike those tried.
    Cost: one pass over the columns, and a second for each set of rows that is left out.
    Reference: Pickands 1975, Annals of Statistics 3(1), for tails; Rousseeuw, van Zomeren 1990, JASA 85(411), for leverage
    """

    id: ClassVar[str] = "far-rows"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    seed: int = 0

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self, cells: Cells, labels: Labels, class_names: tuple[str, ...], surrogate_network: Perceptron | None = None
    ) -> Evidence:
        used, quantity = np.flatnonzero(labels >= 0), amounts(labels, class_names)
        wide = cells if quantity is None else _with_target(cells, quantity)
        scores = np.full(len(labels), np.nan, np.float32)
        distances, far = far_out(wide, used)
        scores[used] = np.log1p(distances)
        tried = far[:_TRIED] if len(used) >= _LEAST else []
        judged = labels if quantity is None else quantity
        own = [tuple(column for column in each.columns if column < len(cells.names)) for each in tried]
        effects = [
            leave_out(cells, judged, each.rows, columns, self.seed, surrogate_network)
            for each, columns in zip(tried, own, strict=True)
        ]
        found = [_group(wide, each, effect, len(tried)) for each, effect in zip(tried, effects, strict=True)]
        found += [_group(wide, each, (), 1) for each in far[len(tried) :]]
        groups = tuple(group for group in found if group is not None)
        listed = [row for each, group in zip(far, found, strict=True) if group is None for row in each.rows.tolist()]
        note = hidden(wide, used)
        return Evidence(scores, "empirical", groups, np.array(listed[:_LISTED], np.int64), note=note, review_kind="outlier")


def _with_target(cells: Cells, quantity: np.ndarray) -> Cells:
    """The table with its labels as the last column."""
    return replace(
        cells,
        values=np.column_stack([cells.values, quantity]),
        names=(*cells.names, _TARGET),
        kinds=(*cells.kinds, "number"),
        categories=(*cells.categories, ()),
    )


def _group(cells: Cells, far: FarOut, effects: Sequence[Effect], tried: int) -> Group | None:
    """An accusation where the tail does not explain the rows and leaving them out is worth much; else something to look at, or nothing."""
    one = len(far.rows) == 1
    many = f"Row {far.rows[0]:,} lies" if one else f"{len(far.rows)} rows ({', '.join(f'{row:,}' for row in far.rows)}) lie"
    said = f"{many} {far.gap.ratio:,.0f} times as far from the middle as the next{_where(cells, far)}."
    left = f"Leaving {'it' if one else 'them'} out"
    if not effects:
        return _told(far, said)
    effect = max(effects, key=lambda each: each.gain)
    others = [f", of {each.model} from {each.before:.1%} to {each.after:.1%}" for each in effects if each is not effect]
    accuracy = f"the accuracy of {effect.model} from {effect.before:.1%} to {effect.after:.1%}{''.join(others)}"
    sure = min(1.0, effect.p_value * tried)
    if effect.gain < _HARM:
        return _told(far, f"{said} {left} changes {accuracy}, no harm to speak of.")
    if sure > _SURE:
        return _told(far, f"{said} {left} changes {accuracy}, which may be chance.")
    if not far.surprising:
        by_itself = f"a tail as heavy as there has such a gap in {far.gap.p_value:.0%} of tables like this"
        explanation = f"{said} {left} raises {accuracy}; {by_itself}."
        return Group("outlier", far.rows, far.gap.ratio, sure, effect.gain, _HARM, explanation, 0.0)
    p_value = max(sure, far.gap.p_value)
    if far.gap.ratio < _ATTACK:
        explanation = f"{said} {left} raises {accuracy}. Honest readings lie as far out at times."
        return Group("outlier", far.rows, far.gap.ratio, p_value, effect.gain, _HARM, explanation, 0.0)
    return Group("leverage", far.rows, far.gap.ratio, p_value, effect.gain, _HARM, f"{said} {left} raises {accuracy}.", 1.0)


def _told(far: FarOut, explanation: str) -> Group | None:
    """Nothing where the tail explains it."""
    if not far.surprising:
        return None
    return Group("outlier", far.rows, far.gap.ratio, far.gap.p_value, far.gap.ratio, FAR, explanation, 0.0)


def _where(cells: Cells, far: FarOut) -> str:
    """The columns and what the first row has there."""
    row = int(far.rows[0])
    shown = [f"{cells.names[column]} = {cells.said(column, cells.values[row, column])}" for column in far.columns[:_NAMED]]
    more = f" and {len(far.columns) - _NAMED} more columns" if len(far.columns) > _NAMED else ""
    return f" ({', '.join(shown)}{more})" if shown else ", all columns taken together"
