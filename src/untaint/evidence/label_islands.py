"""Islands of a label in a table: do they stand out from the others the table has anyway, and did one source send them?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import f, hypergeom

_COMPARED = 20  # islands that show how their ratios thin out
_FEWEST = 8  # of them; with fewer nothing is known of the rest


@final
@dataclass(frozen=True)
class Island:
    """members: places of rows of one label in one ball.  around: those in the ring and others in the ball.  ratio: of the ball."""

    members: np.ndarray
    around: np.ndarray
    ratio: float


def apart(neighbours: np.ndarray, ratios: np.ndarray, labels: np.ndarray, sizes: Sequence[int]) -> list[Island]:
    """The best islands, best first, none of which shares a row with another."""
    used, best, which = np.zeros(len(labels), bool), ratios.max(1), ratios.argmax(1)
    chosen: list[Island] = []
    for centre in np.argsort(-best, kind="stable").tolist():
        if best[centre] <= 0 or len(chosen) > _COMPARED:
            break
        size = sizes[which[centre]]
        ball = neighbours[centre, :size]
        members = np.sort(ball[labels[ball] == labels[centre]])
        if not used[members].any():
            used[members] = True
            around = np.setdiff1d(neighbours[centre, : 4 * size], members)
            chosen.append(Island(members, around, float(best[centre])))
    return chosen


def gap(ratios: Sequence[float]) -> float:
    """Chance that the first of ratios, largest first, is so far above the second; 1 where there are too few.

    Honest tables have islands of their own, fewer the larger. If their ratios thin out exponentially, normalised spacings are
    independent and alike (Rényi 1953), so the first over the mean of the others follows F with 2 and twice their number degrees.
    """
    if len(ratios) <= _FEWEST:
        return 1.0
    values = np.asarray(ratios)
    spacings = (values[:-1] - values[1:]) * np.arange(1, len(values))
    return float(f.sf(spacings[0] / max(float(spacings[1:].mean()), 1e-9), 2, 2 * (len(spacings) - 1)))


def sent_by_one(island: Island, codes: np.ndarray) -> tuple[int, float]:
    """The source that sent surprisingly many of an island beside what it sent of the rows around, and the chance, for all sources.

    Against the rows around, for a source may have a region of its own and honestly send all that lies there.
    """
    mine, rest = codes[island.members], codes[island.around]
    mine, rest = mine[mine >= 0], rest[rest >= 0]
    names = np.unique(mine)
    if len(names) == 0 or len(rest) == 0:
        return -1, 1.0
    total = len(mine) + len(rest)
    chances = [
        float(hypergeom.sf((mine == name).sum() - 1, total, (mine == name).sum() + (rest == name).sum(), len(mine)))
        for name in names
    ]
    best = int(np.argmin(chances))
    return int(names[best]), min(1.0, chances[best] * len(np.unique(codes[codes >= 0])))
