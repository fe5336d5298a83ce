"""What do rows next to a conjunction do: those with a part of it, and those with nearly its values? And what does content make of it?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.evidence.value_overrides import Override, Table
from untaint.numerics.between import UNKNOWN, end, half_way, placed
from untaint.numerics.counts import signed_root
from untaint.types import Rows

_NEAR = 0.1  # of the rows, on either side: those have about the same value
_FEWEST = 20  # neighbours that show what they do: the error of fewer is as large as what they are asked about
_FEWEST_BESIDE, _BESIDE = 8, 20
"""And neighbours in one direction along one column: a rule such as `at most two calls` holds for one call as well as for two."""
_SURE = 1.0  # standard error given to the neighbours
_COMPARED = 5_000  # rows of each kind to compare with: a mean is known to a hundredth


@final
@dataclass(frozen=True)
class Contrast:
    """What a conjunction does that rows next to it do not.

    root: standard units beyond the neighbours of the kind that does most of it.  neighbours, labelled, expected: rows of that kind,
    those with the label, those content would give it; 0 = there is nothing to compare with.
    senders: standard units beyond other rows of those who sent it, NaN = they sent too few others.
    place: of the members on a line from what content makes of rows with other labels (0) to rows with the label (1).
    p_value: of the place being under a half.  p_random: of its being under that of rows drawn at random as well, which a rule that the
    other columns know nothing of decides about.
    """

    root: float
    neighbours: int
    labelled: float
    expected: float
    senders: float
    place: float
    p_value: float
    p_random: float


def contrast(table: Table, found: Override, senders: Rows | None = None) -> Contrast:
    """Compare the bearers of a conjunction with rows next to them, all judged without its columns.

    senders: other rows of those who sent the bearers, None = not known: whoever gives all their rows that label does it here too.
    """
    rows = table.bearers(found.items)
    weight, believed = table.weights[rows], table.believed(found.items, rows, found.label)

    def root(near: Rows) -> float:
        """Of the bearers, were they given the label as often as those rows are."""
        due = float((weight * (believed + _pull(table, found, near) * (1 - believed))).sum())
        return float(signed_root(np.array([found.hits]), np.array([max(found.bearers, 1e-9)]), np.array([due]))[0])

    strongest, told = found.root, (0, 0.0, 0.0)
    for near in _kinds(table, found.items, rows):
        reached = root(near)
        if reached < strongest or not told[0]:
            strongest, told = min(strongest, reached), (len(near), *_labelled(table, found, near)[:2])
    theirs = root(senders) if senders is not None and len(senders) >= _FEWEST else float("nan")
    return Contrast(strongest, *told, theirs, *_placed(table, found))


def _kinds(table: Table, items: tuple[int, ...], rows: Rows) -> Iterator[Rows]:
    """Rows with all items but one, for each; those of them whose value is the next below or above; rows with about all values."""
    for item in items:
        others = tuple(other for other in items if other != item)
        kind = np.setdiff1d(table.bearers(others) if others else np.flatnonzero(table.labels >= 0), rows, assume_unique=True)
        if others and len(kind) >= _FEWEST:
            yield kind
        yield from _sides(table, item, kind)
    about = np.flatnonzero(np.logical_and.reduce([_about(table, item) for item in items]) & (table.labels >= 0))
    near = np.setdiff1d(about, rows, assume_unique=True)
    if len(near) >= _FEWEST:
        yield near


def _sides(table: Table, item: int, rows: Rows) -> Iterator[Rows]:
    """Of some rows those with the nearest values below an item of numbers, and those above."""
    column, low, high = table.items.column[item], table.items.low[item], table.items.high[item]
    if table.items.cells.kinds[column] == "category" or np.isnan(low):
        return
    values = table.items.cells.values[rows, column]
    for beyond, distance in ((values < low, low - values), (values > high, values - high)):
        side = rows[beyond]
        if len(side) >= _FEWEST_BESIDE:
            limit = np.sort(distance[beyond])[min(len(side), _BESIDE) - 1]
            yield np.sort(side[distance[beyond] <= limit])


def _about(table: Table, item: int) -> np.ndarray:
    """(n,) bool: rows with an item or, of numbers, with one of the values next to it."""
    column, n = int(table.items.column[item]), len(table.labels)
    found = np.zeros(n, bool)
    found[table.items.bearers(item)] = True
    if table.items.cells.kinds[column] == "number" and not np.isnan(table.items.low[item]):
        values = table.items.cells.values[:, column]
        ordered = np.sort(values[~np.isnan(values)])
        reach = max(1, int(_NEAR * len(ordered)))
        first = np.searchsorted(ordered, table.items.low[item]) - reach
        last = np.searchsorted(ordered, table.items.high[item], side="right") - 1 + reach
        found |= (values >= ordered[max(0, first)]) & (values <= ordered[min(len(ordered) - 1, last)])
    return found


def _labelled(table: Table, found: Override, near: Rows) -> tuple[float, float, float]:
    """Of some rows, those with the label and those content would give it; and the variance of the latter."""
    weight, believed = table.weights[near], table.believed(found.items, near, found.label)
    variance = float((weight * believed * (1 - believed)).sum())
    return float(weight[table.labels[near] == found.label].sum()), float((weight * believed).sum()), variance


def _pull(table: Table, found: Override, near: Rows) -> float:
    """Share of neighbours content would not have given the label that have it, at most, 0..1."""
    hits, due, variance = _labelled(table, found, near)
    error = np.sqrt(variance + 1)
    return float(np.clip((hits - due + _SURE * error) / max(float(table.weights[near].sum()) - due, 1e-9), 0, 0.99))


def _placed(table: Table, found: Override) -> tuple[float, float, float]:
    """Place of the members, and the p-values of its being under the middle, and under that of rows drawn at random as well."""
    ends, known = [], np.flatnonzero(table.labels >= 0)
    for has in (False, True):
        rows = np.setdiff1d(known[(table.labels[known] == found.label) == has], found.members, assume_unique=True)
        some = rows[:: max(1, len(rows) // _COMPARED)]
        if len(some) < _FEWEST_BESIDE:
            return (*UNKNOWN, 1.0)
        ends.append(end(table.believed(found.items, some, found.label)))
    low, high = ends
    middle = half_way(low.mean, high.mean, table.content.said.shape[2])
    drawn = low.mean + float((table.labels[known] == found.label).mean()) * (high.mean - low.mean)
    own, weight = table.believed(found.items, found.members, found.label), table.weights[found.members]
    against, below = (placed(own, weight, low, high, limit) for limit in (middle, min(middle, drawn)))
    return against.place, against.p_value, below.p_value
