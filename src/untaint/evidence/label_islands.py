"""Islands of a label in a table: do they stand out from the others the table has anyway, and did one source send them?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import binom, f, hypergeom

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


def sent_by_one(island: Island, codes: np.ndarray, labels: np.ndarray) -> tuple[int, float]:
    """The source that sent surprisingly many of an island, and the chance, for all sources.

    Beside what it sent of the rows around, for a source may have a region of its own and honestly send all that lies there; beside
    what it sent of the label elsewhere, for a source may honestly see more of one label; and beside both taken together.
    """
    known = codes >= 0
    inside = np.zeros(len(codes), bool)
    inside[island.members] = True
    mine, rest, others = codes[inside & known], codes[island.around], codes[~inside & known]
    rest = rest[rest >= 0]
    alike = codes[~inside & known & (labels == labels[island.members[0]])]
    names = np.unique(mine)
    if len(names) == 0 or len(rest) == 0:
        return -1, 1.0
    chances = []
    for name in names.tolist():
        count = int((mine == name).sum())
        expected = _odds(rest, name) * _odds(alike, name) / _odds(others, name)
        by_both = float(binom.sf(count - 1, len(mine), expected / (1 + expected)))
        chances.append(max(_drawn(mine, rest, name), _drawn(mine, alike, name), by_both))
    best = int(np.argmin(chances))
    return int(names[best]), min(1.0, chances[best] * len(np.unique(codes[known])))


def _drawn(mine: np.ndarray, rest: np.ndarray, name: int) -> float:
    """Chance that as many rows of a source are in a part drawn blindly from both."""
    count, total = (mine == name).sum(), len(mine) + len(rest)
    return float(hypergeom.sf(count - 1, total, count + (rest == name).sum(), len(mine)))


def _odds(codes: np.ndarray, name: int) -> float:
    """That a row is of a source; half a row added to either side."""
    count = int((codes == name).sum())
    return (count + 0.5) / (len(codes) - count + 0.5)
