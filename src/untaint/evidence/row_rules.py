"""Rules of one or two columns that say which rows of a class bear another label: what people decide by, and not by chance."""

from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom

from untaint.types import Rows

_SHARE = 0.6
"""Of the turned rows that a rule must hold for: the rest may be honest confusion, which is there without it."""
_SURE = 0.01  # chance, over everything that was tried, that labels turned at random are told apart so well
_VALUES = 20  # levels of a column from which single ones are no side of a rule
_KEPT = 400  # sides, by how much oftener they hold for turned rows: pairs of the others cannot tell them apart


class RowRule(NamedTuple):
    """Columns that decide, and how many of the turned and of the other rows they hold for; chance: over all that was tried."""

    columns: tuple[int, ...]
    turned: int
    others: int
    chance: float


def rule_of(codes: np.ndarray, unordered: np.ndarray, turned: Rows, others: Rows) -> RowRule | None:
    """The rule that tells turned rows from others best, if labels turned at random would hardly ever be told apart so.

    codes: (n, d) levels of cells, 0 = missing.  unordered: (d,) columns of words.  Sides of a rule are single levels, and of ordered
    columns being above or below a level. Labels turned at random obey no rule: with six of 140 rows the chance that any of a million
    pairs of sides holds for all six and no other is 10^-5.
    """
    if len(turned) == 0 or len(others) == 0:
        return None
    sides, columns = _sides(codes[turned], codes[others], unordered)
    tried = len(columns)
    if tried == 0:
        return None
    inside, outside = sides[:, : len(turned)], sides[:, len(turned) :]
    lead = inside.mean(axis=1) - outside.mean(axis=1)
    kept = np.flatnonzero(inside.mean(axis=1) >= _SHARE)
    kept = kept[np.argsort(-lead[kept], kind="stable")[:_KEPT]]
    if len(kept) == 0:
        return None
    hits = inside[kept].astype(np.float32) @ inside[kept].T.astype(np.float32)
    misses = outside[kept].astype(np.float32) @ outside[kept].T.astype(np.float32)
    chances = np.asarray(hypergeom.sf(hits - 1, len(turned) + len(others), hits + misses, len(turned)))
    one, other = np.unravel_index(int(np.argmin(chances)), chances.shape)
    chance = float(min(1.0, chances[one, other] * tried * (tried + 1) / 2))
    if chance > _SURE or hits[one, other] < _SHARE * len(turned):
        return None
    named = tuple(sorted({int(columns[kept[one]]), int(columns[kept[other]])}))
    return RowRule(named, int(hits[one, other]), int(misses[one, other]), chance)


def _sides(turned: np.ndarray, others: np.ndarray, unordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(s, m) bool whether each side holds for each row, turned ones first, and (s,) the column of each."""
    rows = np.concatenate([turned, others])
    found: list[np.ndarray] = []
    columns: list[int] = []
    for column in range(rows.shape[1]):
        values = rows[:, column]
        levels = np.unique(values)
        sides = [values == level for level in levels] if len(levels) <= _VALUES or unordered[column] else []
        if not unordered[column]:
            sides += [values >= level for level in levels[1:]] + [(values <= level) & (values > 0) for level in levels[1:-1]]
        found += sides
        columns += [column] * len(sides)
    return np.array(found, bool).reshape(len(found), len(rows)), np.array(columns, np.int64)
