"""Rows beyond gaps: in which columns they lie far out, what the tails there would do by themselves, and what tails hide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.features.cells import Cells
from untaint.numerics.gaps import Gap, beyond, largest_gap
from untaint.types import Rows, Scores

FAR = 5.0
"""How many times as far out as the next: what is nearer is cut or scaled away by whatever copes with the rest of the tail."""
SURE = 1e-3  # corrected for all columns: what a verdict at 1 % asks of one of ten detectors
_TENFOLD = 10.0  # as far out as the farthest: what a column should show
_ASKED = 200  # columns, the first ones, that are asked whether they would
_NAMED = 3  # of them that are spelled out


@final
@dataclass(frozen=True)
class FarOut:
    """Rows that stand beyond a gap. columns: where, best first; empty = in the distance of whole rows only.

    gap: the best of theirs, its p-value corrected for all columns.
    """

    rows: Rows
    columns: tuple[int, ...]
    gap: Gap

    @property
    def surprising(self) -> bool:
        """Whether the tail does not explain it."""
        return self.gap.p_value <= SURE


def far_out(cells: Cells, used: Rows) -> tuple[Scores, list[FarOut]]:
    """(m,) distance of each row from the middle in robust units; and rows beyond a gap, surest first.

    Distances are root mean squares over the columns of numbers.
    """
    numbers = _numbers(cells)
    squares = np.zeros(len(used))
    found = []
    for column in numbers:
        off = _off(cells.values[used, column])
        found.append((column, *_beyond(off)))
        positive = off[off > 0]
        if len(positive):
            squares += np.nan_to_num(off / np.median(positive)) ** 2
    distances = np.sqrt(squares / max(1, len(numbers)))
    return distances, list(_sets([*found, (-1, *_beyond(distances))], used))


def hidden(cells: Cells, used: Rows) -> str:
    """Which columns would not show a number ten times as far out as the farthest, in words; nothing where all would."""
    asked = _numbers(cells)[:_ASKED]
    blind = [column for column in asked if beyond(_off(cells.values[used, column]), _TENFOLD) * len(asked) > SURE]
    if not blind:
        return ""
    names = ", ".join(cells.names[column] for column in blind[:_NAMED])
    more = f" and {len(blind) - _NAMED:,} more" if len(blind) > _NAMED else ""
    return (
        f"In {len(blind):,} of {len(asked):,} columns of numbers ({names}{more}) one number ten times as far out as the farthest "
        "would not stand out: their tails are too heavy, or too short to say."
    )


def _numbers(cells: Cells) -> list[int]:
    return [column for column, kind in enumerate(cells.kinds) if kind == "number"]


def _off(values: np.ndarray) -> np.ndarray:
    there = values[~np.isnan(values)]
    return np.abs(values - np.median(there)) if len(there) else values


def _beyond(off: np.ndarray) -> tuple[Rows, Gap]:
    gap = largest_gap(off, FAR)
    if not gap.count:
        return np.empty(0, np.int64), gap
    return np.argsort(-np.nan_to_num(off), kind="stable")[: gap.count], gap


def _sets(gaps: Sequence[tuple[int, Rows, Gap]], used: Rows) -> Iterator[FarOut]:
    """Sets of rows that stand beyond a gap, surest first; a set takes in whatever shares a row with it and is sure as well."""
    left = sorted((each for each in gaps if each[2].count), key=lambda each: (each[2].p_value, each[0]))
    while left:
        rows, gap = left[0][1], left[0][2]
        sure = gap.p_value * len(gaps) <= SURE
        shared = [np.isin(each[1], rows).any() for each in left]
        together = [
            each for each, mine in zip(left, shared, strict=True) if mine and (each[2].p_value * len(gaps) <= SURE) == sure
        ]
        left = [each for each, mine in zip(left, shared, strict=True) if not mine]
        rows = np.unique(np.concatenate([each[1] for each in together]))
        columns = tuple(column for column, _, _ in together if column >= 0)
        yield FarOut(used[rows], columns, Gap(gap.count, gap.ratio, min(1.0, gap.p_value * len(gaps))))
