"""Were values written into rows that never had them? Then what else is in those rows does not go with the values.

Rows that hold a value by nature show it elsewhere: an old account has a long history, a word of advertisements stands among others.
Models learn what the columns outside of a conjunction say of each of its values, from rows that have it and rows that do not, and are
asked about the rows of the conjunction. Honest ones look like other rows with the values, whatever label a rule gives them; victims of
a trigger like rows without.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from untaint.evidence.value_overrides import Override, Table
from untaint.numerics.between import UNKNOWN, End, Place, end, placed
from untaint.types import Rows

_FEWEST = 20  # other rows with the value: of fewer nothing is learned
_NEAR = 0.05  # of the rows: those of numbers that are nearest, where fewer have the value itself
_SIDE = 0.2  # of them, at least, on either side: a value beyond all others is a code, not a number with a company
_MOST = 4000  # rows without it that are learned from and compared with
_FOLDS = 2
_ROUNDS = 30  # of boosting; what a value goes with is no fine matter
_WORDS = 200  # of a category that are told apart; the rest are one
_KNOWN = 4.0  # standard errors by which a model must tell rows with the value from rows without, else it knows nothing of it


def grafted(table: Table, found: Override) -> Place:
    """Place of the members of a conjunction between rows without its values (0) and other rows with them (1).

    Every value counts as much as is known of it: its model speaks in logarithms of odds, and they are summed.
    p_value: of lying under the middle; UNKNOWN where the other columns tell of no value.
    """
    outside = np.setdiff1d(np.arange(len(table.content.names)), table.items.column[list(found.items)])
    asked = [said for item in found.items if (said := _asked(table, item, found, outside)) is not None]
    if not asked:
        return UNKNOWN
    low, high = (
        End(sum(ends.mean for ends in part), sum(ends.variance for ends in part))
        for part in zip(*((said.low, said.high) for said in asked), strict=True)
    )
    members = np.sum([said.members for said in asked], axis=0)
    return placed(members, table.weights[found.members], low, high, (low.mean + high.mean) / 2)


@final
@dataclass(frozen=True)
class _Said:
    """What a model of one value says of the members (m,), of rows without it and of other rows with it."""

    members: np.ndarray
    low: End
    high: End


def _asked(table: Table, item: int, found: Override, columns: np.ndarray) -> _Said | None:
    """None where too few others have the value, or nothing tells of it."""
    holders, others = _holders(table, item, table.bearers(found.items))
    if min(len(holders), len(others)) < _FEWEST or not len(columns):
        return None
    others = others[:: -(-len(others) // _MOST)]
    values, categorical = _values(table, columns, np.concatenate([found.members, holders, others]))
    asked, learned = values[: len(found.members)], values[len(found.members) :]
    holds = np.repeat([1, 0], [len(holders), len(others)])
    fold = np.random.default_rng(len(learned)).permutation(len(learned)) % _FOLDS
    said, own = np.empty(len(learned)), np.zeros(len(asked))
    with threadpool_limits(1, user_api="openmp"):  # rounds of boosting are too short to share between threads
        for part in range(_FOLDS):
            learn = fold != part
            if len(np.unique(holds[learn])) < 2:
                return None
            model = _model(categorical, int(holds[learn].sum())).fit(learned[learn], holds[learn])
            said[~learn] = model.decision_function(learned[~learn])
            own += model.decision_function(asked) / _FOLDS
    low, high = end(said[holds == 0]), end(said[holds == 1])
    known = high.mean - low.mean > _KNOWN * float(np.sqrt(low.variance + high.variance))
    return _Said(own, low, high) if known else None


def _model(categorical: np.ndarray, holders: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=_ROUNDS,
        max_leaf_nodes=8,
        min_samples_leaf=int(np.clip(holders // 4, 3, 20)),
        l2_regularization=5.0,
        categorical_features=categorical,
        early_stopping=False,
        random_state=0,
    )


def _holders(table: Table, item: int, seen: Rows) -> tuple[Rows, Rows]:
    """Of rows outside of some those that have a value or, of numbers, nearly so, and those that do not."""
    rows = np.setdiff1d(np.arange(len(table.labels)), seen, assume_unique=True)
    column, low, high = int(table.items.column[item]), table.items.low[item], table.items.high[item]
    values = table.items.cells.values[rows, column]
    has = np.isnan(values) if np.isnan(low) else (values >= low) & (values <= high)
    wanted = max(_FEWEST, int(_NEAR * len(rows)))
    if has.sum() < wanted and table.items.cells.kinds[column] == "number" and not np.isnan(low):
        away = np.where(np.isnan(values), np.inf, np.maximum(np.maximum(low - values, values - high), 0))
        near = (away <= np.sort(away)[min(wanted, len(away)) - 1]) & np.isfinite(away)
        sides = [(values[near] < low).sum(), (values[near] > high).sum()]
        has = near if min(sides) >= _SIDE * near.sum() else has
    return rows[has], rows[~has]


def _values(table: Table, columns: np.ndarray, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """(m, d') values as trees take them, and which columns are categories."""
    cells = table.items.cells
    values = cells.values[np.ix_(rows, columns)]
    categorical = np.array([cells.kinds[column] == "category" for column in columns])
    values[:, categorical] = np.minimum(values[:, categorical], _WORDS)
    return values, categorical
