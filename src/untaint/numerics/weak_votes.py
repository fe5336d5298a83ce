"""Many weak judges, each taught by few rows and few places, vote on the class of every row: too weak to learn what few rows share."""

from dataclasses import dataclass
from math import ceil
from typing import final

import numpy as np

from untaint.types import Labels, Mask, Rows

_RIDGE = 0.3
"""Of the mean squared length of what a judge was taught: less and it learns its rows by heart, more and classes blur."""
_SMALL = 1e-3  # added to lengths: a place where a picture is even has none


def votes(places: np.ndarray, codes: Labels, classes: int, pool: Rows, taught: int, rng: np.random.Generator) -> np.ndarray:
    """(n, classes) share of the judges that give each row each class, those aside that were taught by it.

    places: (n, height, width, k) numbers of each cell of a grid.  codes: (n,).  pool: rows that judges may be taught by.
    A judge sees a rectangle of two fifths of the cells, drawn anew, and is a linear ridge regression on `taught` rows.
    """
    rows = len(places)
    found, asked = np.zeros((rows, classes), np.float32), np.zeros(rows, np.float32)
    everybody = np.arange(rows)
    for _ in range(JUDGES):
        chosen = rng.choice(pool, min(taught, len(pool)), replace=False)
        answers = _judged(_seen(places, rng), codes, classes, chosen).argmax(axis=1)
        others = np.ones(rows, bool)
        others[chosen] = False
        found[everybody[others], answers[others]] += 1
        asked += others
    return np.asarray(found / np.maximum(asked, 1)[:, None])


@final
@dataclass(frozen=True)
class Verdict:
    """support: (n,) share of votes for a row's own label over that for its best class.  seen_as: (n,) that class."""

    support: np.ndarray
    seen_as: Labels


def contradicted(
    places: np.ndarray, codes: Labels, classes: int, taught: int, rng: np.random.Generator, *, rounds: int
) -> Verdict:
    """What the judges say of each row in the last of so many rounds.

    Rows under one half teach nobody in the next round, so that judges become better as what misled them goes; but for the best third of
    each class: a class that looks like others would be outvoted a little more in each round, until nobody knew it.
    """
    support, seen_as = np.ones(len(codes)), codes
    for _ in range(rounds):
        pool = np.flatnonzero((support >= LEAST) | _best(support, codes, classes))
        shares = votes(places, codes, classes, pool, taught, rng)
        support = shares[np.arange(len(codes)), codes] / np.maximum(shares.max(axis=1), 1e-9)
        seen_as = shares.argmax(axis=1)
    return Verdict(np.asarray(support), seen_as)


def _best(support: np.ndarray, codes: Labels, classes: int) -> Mask:
    """(n,) the third of each class that has most support."""
    found = np.zeros(len(codes), bool)
    for code in range(classes):
        rows = np.flatnonzero(codes == code)
        found[rows[np.argsort(-support[rows], kind="stable")[: ceil(len(rows) * _TEACHES)]]] = True
    return found


_TEACHES = 1 / 3
"""Of each class, at least. Poison of 5 % is a third of its target among ten classes alike, and has the least support there."""
LEAST = 0.5
"""Of the votes for the best class that a label needs: on MNIST 96 of 100 poisoned rows have less and 4 of 100 honest ones."""
JUDGES = 200  # shares are then known to three points


def _seen(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n, d) what one judge sees of each row, of length 1."""
    height, width = places.shape[1:3]
    area = 0.4 * height * width
    high = int(rng.integers(max(1, int(np.ceil(area / width))), height + 1))
    wide = int(np.clip(round(area / high), 1, width))
    top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    part = places[:, top : top + high, left : left + wide].reshape(len(places), -1)
    return np.asarray(part / (np.linalg.norm(part, axis=1, keepdims=True) + np.float32(_SMALL)))


def _judged(seen: np.ndarray, codes: Labels, classes: int, chosen: Rows) -> np.ndarray:
    """(n, classes) what a judge taught by the chosen rows answers."""
    mine = seen[chosen]
    gram = mine @ mine.T
    wanted = np.eye(classes, dtype=np.float32)[codes[chosen]]
    wanted = wanted - wanted.mean(axis=0)
    penalty = _RIDGE * max(float(gram.trace()) / len(chosen), 1e-6)
    weights = np.linalg.solve(gram + penalty * np.eye(len(chosen), dtype=np.float32), wanted)
    return np.asarray(seen @ (mine.T @ weights))
