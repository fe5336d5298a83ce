"""Values of a row that decide its label whatever the rest of the row says, and whether their neighbours do so too.

Content is judged by models that learned from none of the columns concerned. A strong honest sign does not stop at a value: rows with
the next value, and rows with only a part of several values, have the label more often than the rest of them says as well. A trigger
stops there: what it does, it does for its very values together.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from scipy.stats import norm

from untaint.evidence.conjunctions import Asked
from untaint.evidence.value_lifts import Lifts, lifts
from untaint.features.items import Items
from untaint.features.table_content import TableContent
from untaint.numerics.counts import signed_root
from untaint.types import Labels, Rows

LEAST_EFFECT = (
    0.5  # share of the bearers content would not have given the label that have it all the same: a trigger moves nearly all
)
_LONGEST = 3  # values in one conjunction
_GROWN = 60  # candidates per label that are asked for one value more, those that stand out most
NOTABLE = 3.0  # standard units from which on a candidate is worth growing, and its senders are worth a question
_BETTER = 0.3  # standard units that one value more must bring
_SAME = 0.5  # of the members of the smaller of two conjunctions, from which they are one


@final
@dataclass(frozen=True)
class Override:
    """Some items together and the label they go with.

    members: rows with the label that have them.  bearers, hits, expected: rows, those with the label, those content would give it,
    copies of a row counted once.  root: standard units of that.
    """

    items: tuple[int, ...]
    label: int
    members: Rows
    bearers: float
    hits: float
    expected: float
    root: float

    @property
    def effect(self) -> float:
        """Share of the bearers content would not have given the label that have it."""
        return (self.hits - self.expected) / max(self.bearers - self.expected, 1e-9)


@final
@dataclass(frozen=True)
class Table:
    """What the test asks of a table. weights: (n,) copies of a row count once."""

    items: Items
    labels: Labels
    content: TableContent
    weights: np.ndarray

    def believed(self, items: tuple[int, ...], rows: Rows, label: int) -> np.ndarray:
        """(m,) probability of the label by models that learned from none of the items' columns, or from as few as there are."""
        columns = np.unique(self.items.column[list(items)])
        known = self.content.uses[:, columns].sum(1) + self.content.uses.all(1) * len(columns)
        able = np.flatnonzero(known == known.min())
        said = np.log(self.content.said[able[:, None], rows].astype(np.float64)).mean(0)
        said = np.exp(said - said.max(1, keepdims=True))
        return np.asarray(said[:, label] / said.sum(1))

    def doubted(self) -> np.ndarray:
        """(n,) own label by the fifth of the models that believe it least: those that lack what a trigger taught the others."""
        rows = np.arange(len(self.labels))
        said = self.content.said[:, rows, np.maximum(self.labels, 0)]
        half = ~self.content.uses.all(1)
        return np.asarray(np.quantile(said[half] if half.any() else said, 0.2, axis=0))

    def tested(self, items: tuple[int, ...], label: int) -> Override:
        """One conjunction and one label."""
        rows = self.bearers(items)
        weight, has = self.weights[rows], self.labels[rows] == label
        believed = self.believed(items, rows, label)
        bearers, hits, expected = (float(part.sum()) for part in (weight, weight[has], weight * believed))
        root = float(signed_root(np.array([hits]), np.array([max(bearers, 1e-9)]), np.array([expected]))[0])
        return Override(items, label, rows[has], bearers, hits, expected, root)

    def p_value(self, items: tuple[int, ...], root: float) -> float:
        """Of a root, corrected for every label and every conjunction, those most that are no strange ones (see `value_lifts`)."""
        return float(min(1.0, norm.sf(root) * self.lifts.tests(items) * self.content.said.shape[2]))

    @cached_property
    def lifts(self) -> Lifts:
        """How strange it is that items stand together."""
        return lifts(self.items)

    def bearers(self, items: tuple[int, ...]) -> Rows:
        """Rows with a label that have every one of some items."""
        rows = self.items.all_of(items)
        return np.asarray(rows[self.labels[rows] >= 0])


def overrides(table: Table, asked: Asked) -> list[Override]:
    """Candidates tested, the strongest of each label with values added as long as that says more; strongest first."""
    found: dict[tuple[tuple[int, ...], int], Override] = {}
    for items, label in asked:
        found[items, label] = table.tested(items, label)
    for label in {label for _, label in asked}:
        notable = [each for each in found.values() if each.label == label and each.root >= NOTABLE and each.effect > 0]
        for first in sorted(notable, key=_order)[:_GROWN]:
            grown: Override | None = first
            while grown is not None and len(grown.items) < _LONGEST:
                grown = _grown(table, grown)
                if grown is not None:
                    found[grown.items, label] = grown
    return sorted(found.values(), key=_order)


def _order(each: Override) -> tuple[float, int, tuple[int, ...]]:
    return -each.root, len(each.items), each.items


def _grown(table: Table, base: Override) -> Override | None:
    """With the one value more that says most of the label, where that is more than before; None when nothing does."""
    rows = table.bearers(base.items)
    borne = table.items.matrix_of(rows)
    weight, believed = table.weights[rows], table.believed(base.items, rows, base.label)
    bearers, hits, due = (
        np.asarray(borne.T @ part) for part in (weight, weight * (table.labels[rows] == base.label), weight * believed)
    )
    foreign = ~np.isin(table.items.column, table.items.column[list(base.items)])
    root = np.where(foreign & (bearers > 1), signed_root(hits, np.maximum(bearers, 1e-9), due), -np.inf)
    best = np.flatnonzero(root >= root.max() - 1e-9)
    item = int(best[np.argmin(table.items.starts[best + 1] - table.items.starts[best])])
    if not root[item] > base.root - _BETTER:
        return None
    more = table.tested(tuple(sorted((*base.items, item))), base.label)
    return more if more.root > base.root + _BETTER else None


def clustered(found: list[Override]) -> list[list[Override]]:
    """Greedy cover, strongest first: what shares half of its members with a stronger one of the same label is a part of it."""
    built: list[tuple[set[int], list[Override]]] = []
    for each in found:
        mine = set(each.members.tolist())
        home = next(
            (
                home
                for rows, home in built
                if home[0].label == each.label and len(mine & rows) >= _SAME * min(len(mine), len(rows))
            ),
            None,
        )
        if home is None:
            built.append((mine, [each]))
        else:
            home.append(each)
    return [home for _, home in built]
