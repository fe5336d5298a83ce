"""Islands of one label: balls of neighbours that share a label which neither the ring around them nor the rest of the table gives them."""

from collections.abc import Sequence

import numpy as np

from untaint.numerics.holes import Rest

_RING = 3  # times as many rows as the ball holds: as near as can be, and enough to know their shares
_ASKED = (
    5  # one in so many rows, those in the midst of the best balls, are asked about: an island of one in a hundred is among them
)


def islands(neighbours: np.ndarray, labels: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """(n, s) log-likelihood ratio of each ball around each row.

    neighbours: (n, m) rows by distance, each first its own.  The ratio is of one share of the middle row's label in the ball and
    another in the ring around it against one for both; 0 where the ball has no more of it (Kulldorff 1997, with a local outside).
    """
    same = labels[neighbours] == labels[:, None]
    found, ratios = np.cumsum(same, axis=1), np.zeros((len(labels), len(sizes)))
    for place, size in enumerate(sizes):
        reach = min(same.shape[1], (1 + _RING) * size)
        if reach > size:
            inside, outside = found[:, size - 1], found[:, reach - 1] - found[:, size - 1]
            ratios[:, place] = _ratio(inside / size, (outside + 0.5) / (reach - size + 1), size)
    return ratios


def unheard_of(neighbours: np.ndarray, ratios: np.ndarray, labels: np.ndarray, sizes: Sequence[int], rest: Rest) -> np.ndarray:
    """(n, s) ratios of the best ball around each row that stand when the ball is compared with what all other rows say of it, too.

    The lesser of the two ratios: a class that lies apart from the others is an island in its ring, but the rest of it knows the
    label. 0 for all other balls, and for those around rows that are not among the best.
    """
    best, which, standing = ratios.max(1), ratios.argmax(1), np.zeros_like(ratios)
    for row in np.argsort(-best, kind="stable")[: -(-len(labels) // _ASKED)].tolist():
        if best[row] <= 0:
            break
        size = sizes[which[row]]
        ball = neighbours[row, :size]
        expected = (rest.share(ball, int(labels[row])) * size + 0.5) / (size + 1)
        seen = (labels[ball] == labels[row]).mean(keepdims=True)
        standing[row, which[row]] = min(float(best[row]), float(_ratio(seen, np.array([expected]), size)[0]))
    return standing


def held(neighbours: np.ndarray, ratios: np.ndarray, labels: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """(n,) the best ratio of the balls that hold a row, of those with its own label in the middle."""
    best = np.zeros(len(labels))
    for place, size in enumerate(sizes):
        centres = np.flatnonzero(ratios[:, place] > 0)
        balls = neighbours[centres, :size]
        spread = np.where(labels[balls] == labels[centres][:, None], ratios[centres, place][:, None], 0.0)
        np.maximum.at(best, balls.ravel(), spread.ravel())
    return best


def reach(sizes: Sequence[int]) -> int:
    """Neighbours that `islands` needs, the row itself among them."""
    return (1 + _RING) * max(sizes)


def _ratio(seen: np.ndarray, expected: np.ndarray, size: int) -> np.ndarray:
    """Rows times the divergence of Kullback and Leibler between two shares; 0 where no more is seen than expected, never 0 or 1."""
    sure = np.clip(seen, 1e-12, 1 - 1e-12)
    apart = sure * np.log(sure / expected) + (1 - sure) * np.log((1 - sure) / (1 - expected))
    return np.asarray(np.where(seen > expected, size * apart, 0.0))
