"""A row or a few that lie so far out that they wreck what learns from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.leave_out import Effect, leave_out
from untaint.features.cells import Cells
from untaint.numerics.gaps import NONE, Gap, largest_gap
from untaint.types import Labels, Modality, Rows, Scores

_NOTABLE = 0.01  # corrected for all columns; the verdict corrects for detectors and asks for its own rate
_FAR = 5.0
"""How many times as far out as the next: what is nearer is cut or scaled away by whatever copes with the rest of the tail."""
_HARM = 0.05
"""Accuracy that leaving the rows out is worth. One honest row among 2,000 is worth less than a hundredth."""
_SURE = 1e-3  # chance of such a gain where the rows do nothing
_TRIED = 5  # sets of rows that are left out in turn, the farthest first
_LEAST = 60  # rows; half of them learn
_NAMED = 3  # columns that are spelled out


@final
@dataclass(frozen=True)
class FarRows(Detector):
    """Looks for at most five rows beyond a gap in a column of numbers, or in the distance of whole rows, and measures their harm.

    How far out the rows are is measured from the median, and the gap in front of them against how the tail thins out before it: a
    heavy tail has large gaps of its own. Then small linear models learn with those rows and without, scaled as people scale. Rows that
    cost accuracy are accused; rows that do no harm are only told.

    Works when: the rows are at least ten times as far out as the next in a column that is no power law itself.
    Fails when: the tail is so heavy that honest values leave such gaps; there are more than five rows; the column has fewer than
        22 different sizes; the rows wreck only a model unlike those tried.
    Cost: one pass over the columns, and a second for each set of rows that is left out.
    Reference: Hill 1975, Annals of Statistics 3(5), for tails; Rousseeuw, van Zomeren 1990, JASA 85(411), for leverage
    """

    id: ClassVar[str] = "far-rows"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    seed: int = 0

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, cells: Cells, labels: Labels) -> Evidence:
        used = np.flatnonzero(labels >= 0)
        scores = np.full(len(labels), np.nan, np.float32)
        distances, gaps = _looked(cells, used)
        scores[used] = np.log1p(distances)
        far = list(_sets(gaps, used))
        tried = far[:_TRIED] if len(used) >= _LEAST else []
        effects = [leave_out(cells, labels, each.rows, each.columns, self.seed) for each in tried]
        groups = [_group(cells, each, effect, len(tried)) for each, effect in zip(tried, effects, strict=True)]
        groups += [_group(cells, each, None, 1) for each in far[len(tried) :]]
        return Evidence(scores, "empirical", tuple(groups))


@final
@dataclass(frozen=True)
class _Far:
    """Rows beyond gaps. columns: where, best first; empty = in the distance of whole rows only."""

    rows: Rows
    columns: tuple[int, ...]
    gap: Gap


def _looked(cells: Cells, used: Rows) -> tuple[Scores, list[tuple[int, Rows, Gap]]]:
    """(m,) distance of each row from the middle in robust units, and the gap of every column and of the distance (column -1)."""
    numbers = [column for column, kind in enumerate(cells.kinds) if kind == "number"]
    squares = np.zeros(len(used))
    found = []
    for column in numbers:
        values = cells.values[used, column]
        there = values[~np.isnan(values)]
        off = np.abs(values - np.median(there)) if len(there) else values
        found.append((column, *_beyond(off)))
        positive = off[off > 0]
        if len(positive):
            squares += np.nan_to_num(off / np.median(positive)) ** 2
    distances = np.sqrt(squares / max(1, len(numbers)))
    return distances, [*found, (-1, *_beyond(distances))]


def _beyond(off: np.ndarray) -> tuple[Rows, Gap]:
    gap = largest_gap(off)
    if gap is NONE:
        return np.empty(0, np.int64), gap
    return np.argsort(-np.nan_to_num(off), kind="stable")[: gap.count], gap


def _sets(gaps: Sequence[tuple[int, Rows, Gap]], used: Rows) -> Iterator[_Far]:
    """Sets of rows that stand beyond a gap, surest first; a set takes in whatever shares a row with it."""
    far = [(column, rows, gap) for column, rows, gap in gaps if gap.p_value * len(gaps) <= _NOTABLE and gap.ratio >= _FAR]
    far.sort(key=lambda each: (each[2].p_value, each[0]))
    while far:
        rows, gap = far[0][1], far[0][2]
        together = [each for each in far if np.isin(each[1], rows).any()]
        far = [each for each in far if not np.isin(each[1], rows).any()]
        rows = np.unique(np.concatenate([each[1] for each in together]))
        columns = tuple(column for column, _, _ in together if column >= 0)
        yield _Far(used[rows], columns, Gap(gap.count, gap.ratio, min(1.0, gap.p_value * len(gaps))))


def _group(cells: Cells, far: _Far, effect: Effect | None, tried: int) -> Group:
    """An accusation where leaving the rows out is worth much, else something to look at."""
    one = len(far.rows) == 1
    many = f"Row {far.rows[0]:,} lies" if one else f"{len(far.rows)} rows ({', '.join(f'{row:,}' for row in far.rows)}) lie"
    said = f"{many} {far.gap.ratio:,.0f} times as far from the middle as the next{_where(cells, far)}."
    left = f"Leaving {'it' if one else 'them'} out"
    if effect is None:
        return _told(far, said)
    accuracy = f"the accuracy of {effect.model} from {effect.before:.1%} to {effect.after:.1%}"
    sure = min(1.0, effect.p_value * tried)
    if effect.gain < _HARM:
        return _told(far, f"{said} {left} changes {accuracy}, no harm to speak of.")
    if sure > _SURE:
        return _told(far, f"{said} {left} changes {accuracy}, which may be chance.")
    p_value = max(sure, far.gap.p_value)
    return Group("leverage", far.rows, far.gap.ratio, p_value, effect.gain, _HARM, f"{said} {left} raises {accuracy}.", 1.0)


def _told(far: _Far, explanation: str) -> Group:
    return Group("outlier", far.rows, far.gap.ratio, far.gap.p_value, far.gap.ratio, _FAR, explanation, 0.0)


def _where(cells: Cells, far: _Far) -> str:
    """The columns and what the first row has there."""
    row = int(far.rows[0])
    shown = [f"{cells.names[column]} = {cells.said(column, cells.values[row, column])}" for column in far.columns[:_NAMED]]
    more = f" and {len(far.columns) - _NAMED} more columns" if len(far.columns) > _NAMED else ""
    return f" ({', '.join(shown)}{more})" if shown else ", all columns taken together"
