"""Which values of a table are worth a test together: single ones, and pairs that rows of one label share more than their parts explain.

Rows whose label content doubts are where a trigger's victims are. Three searches, since none finds all: pairs that doubtful rows have
more often than rows with only one of the two; pairs that rows of a label have more often together than each alone makes likely, which
also finds them where content knows little, or learned the trigger and doubts nobody; and pairs that all rows have more often together
than each alone makes likely and that go with the label, which finds them where most rows of a small class are poison.
"""

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from scipy.sparse import csr_matrix, triu

from untaint.evidence.value_lifts import LOOKED_AT
from untaint.features.items import Items
from untaint.numerics.counts import signed_root
from untaint.types import Labels

_DOUBTFUL = 0.25  # of the rows with a label, those that content believes least
_SURE = 0.95  # content's word from which no row is doubtful
_LEAST = 4  # rows with a pair
_LIFT, _SURPRISE = 4.0, 3.0  # times as often as each alone makes likely, and standard units beyond it
_MEETING = 2.0  # times as often in all rows as each alone makes likely
_TOLD, _LIFTED, _MET, _ALONE = 200, 150, 100, 60  # candidates of each search, over all labels
_FEWEST_EACH = 8  # and for each label


Asked: TypeAlias = tuple[tuple[tuple[int, ...], int], ...]
"""Items together, and the label they may override to."""


def candidates(items: Items, labels: Labels, own: np.ndarray) -> Asked:
    """Single items and pairs of different columns, by label.

    own: (n,) how far content believes each label where most of what a trigger may have taught it is left out; NaN = not assessed.
    """
    rows = np.flatnonzero((labels >= 0) & np.isfinite(own))
    if len(rows) > LOOKED_AT:
        rows = np.sort(np.random.default_rng(0).choice(rows, LOOKED_AT, replace=False))
    classes = int(labels.max(initial=0)) + 1
    found: list[tuple[tuple[int, ...], int]] = []
    if len(rows) and len(items):
        borne, known = items.matrix[rows], labels[rows]
        table = _Shared(items.column, csr_matrix(borne.T @ borne), len(rows), classes)
        for label in range(classes):
            has = known == label
            picked = {*_doubted(table, borne[_doubtful(has, own[rows])]), *_lifted(table, borne[has]), *_met(table, borne[has])}
            found += [(each, label) for each in sorted(picked)]
    return tuple(found)


@final
@dataclass(frozen=True)
class _Shared:
    """column: (m,) of each item.  together: (m, m) rows with both.  rows, classes: how many were looked at."""

    column: np.ndarray
    together: csr_matrix
    rows: int
    classes: int

    @property
    def borne(self) -> np.ndarray:
        """(m,) rows with each item."""
        return np.maximum(self.together.diagonal(), 1e-9)

    def pairs(self, part: csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Two items of different columns, how many rows of a part (s, m) have both, and how many of all."""
        shared = triu(part.T @ part, format="coo")
        kept = (shared.data >= _LEAST) & (self.column[shared.row] != self.column[shared.col])
        a, b = shared.row[kept], shared.col[kept]
        every = np.asarray(self.together[a, b]).ravel() if len(a) else np.empty(0)
        return a, b, shared.data[kept], every

    def best(self, score: np.ndarray, many: int) -> np.ndarray:
        """Places of the highest scores that are above zero."""
        order = np.argsort(-score, kind="stable")[: max(_FEWEST_EACH, many // self.classes)]
        return order[score[order] > 0]


def _doubtful(has: np.ndarray, believed: np.ndarray) -> np.ndarray:
    """(m,) bool: rows with the label that content believes least."""
    if not has.any():
        return has
    return np.asarray(has & (believed <= np.quantile(believed[has], _DOUBTFUL)) & (believed < _SURE))


def _doubted(table: _Shared, doubtful: csr_matrix) -> list[tuple[int, ...]]:
    """Items and pairs that doubtful rows (s, m) have more often than rows in general, or rows with one of the two."""
    base, alone = doubtful.shape[0] / (table.rows + 1), np.asarray(doubtful.sum(0)).ravel()
    singles = np.where(alone >= _LEAST, signed_root(alone, table.borne, base * table.borne), 0.0)
    a, b, both, every = table.pairs(doubtful)
    rates = [(alone[each] - both + base) / (table.borne[each] - every + 1) for each in (a, b)]
    told = signed_root(both, np.maximum(every, 1e-9), every * np.clip(np.maximum(*rates), base, 1))
    order = table.best(told, _TOLD)
    return [(int(item),) for item in table.best(singles, _ALONE)] + [(int(a[at]), int(b[at])) for at in order]


def _lifted(table: _Shared, labelled: csr_matrix) -> list[tuple[int, ...]]:
    """Pairs that rows of one label (s, m) have far more often together than each alone makes likely, purest first."""
    base, alone = labelled.shape[0] / (table.rows + 1), np.asarray(labelled.sum(0)).ravel()
    a, b, both, every = table.pairs(labelled)
    due = alone[a] * alone[b] / max(1, labelled.shape[0])
    lifted = (both >= _LIFT * due) & (both - due >= _SURPRISE * np.sqrt(due + 1))
    order = table.best(np.where(lifted, signed_root(both, np.maximum(every, 1e-9), every * base), 0.0), _LIFTED)
    return [(int(a[at]), int(b[at])) for at in order]


def _met(table: _Shared, labelled: csr_matrix) -> list[tuple[int, ...]]:
    """Pairs of rows of one label (s, m) that all rows have far more often together than each alone makes likely, purest first."""
    base = labelled.shape[0] / (table.rows + 1)
    a, b, both, every = table.pairs(labelled)
    met = every >= _MEETING * table.borne[a] * table.borne[b] / table.rows
    order = table.best(np.where(met, signed_root(both, np.maximum(every, 1e-9), every * base), 0.0), _MET)
    return [(int(a[at]), int(b[at])) for at in order]
