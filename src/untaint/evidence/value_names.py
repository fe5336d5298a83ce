"""Values and ranges in words, as narrow as the rows that have them allow."""

import numpy as np

from untaint.evidence.value_overrides import Override, Table
from untaint.features.items import Items

_NEARLY_ALL = 0.9  # of the members
_MORE = 3  # columns that are named beside
_UNUSUAL = 5.0  # times as common among members as among all


def sharpened(table: Table, found: Override) -> Override:
    """With single values for ranges, where nearly all members have the same one in a range, unless that says less."""
    items = tuple(sorted(_exact(table, found, item) for item in found.items))
    if items == found.items:
        return found
    narrow = table.tested(items, found.label)
    return narrow if narrow.hits >= _NEARLY_ALL * found.hits else found


def _exact(table: Table, found: Override, item: int) -> int:
    """The single value in an item that nearly all members have, or the item."""
    column = table.items.column[item]
    values = table.items.cells.values[found.members, column]
    distinct, counts = np.unique(values, return_counts=True)
    if not len(distinct) or counts.max() < _NEARLY_ALL * len(values):
        return item
    same = np.flatnonzero((table.items.column == column) & (table.items.low == distinct[counts.argmax()]))
    single = same[table.items.high[same] == table.items.low[same]]
    return int(single[0]) if len(single) else item


def worded(table: Table, items: tuple[int, ...]) -> str:
    """`age = 37 and city = 'Oslo'`."""
    return " and ".join(said(table.items, item) for item in items)


def said(items: Items, item: int) -> str:
    """One item in words."""
    column = int(items.column[item])
    low, high, name = float(items.low[item]), float(items.high[item]), items.cells.names[column]
    if np.isnan(low):
        return f"{name} missing"
    if high > low:
        return f"{name} from {low:.12g} to {high:.12g}"
    if items.cells.kinds[column] == "category":
        return f"{name} = '{items.cells.said(column, low)}'"
    return f"{name} = {low:.12g}"


def beside(table: Table, found: Override) -> tuple[int, ...]:
    """Single values of further columns that nearly all members have and few others: parts that the test did not need."""
    counts = np.bincount(table.items.matrix[found.members].indices, minlength=len(table.items))
    share = counts / max(1, len(found.members))
    usual = np.diff(table.items.starts) / len(table.labels)
    foreign = ~np.isin(table.items.column, table.items.column[list(found.items)])
    single = (table.items.low == table.items.high) & foreign & (share >= _NEARLY_ALL) & (share >= _UNUSUAL * usual)
    places = np.flatnonzero(single)
    return tuple(places[np.argsort(usual[places] / share[places], kind="stable")][:_MORE].tolist())
