"""Islands of one label: balls of neighbours that share a label which the ring around them does not have."""

from collections.abc import Sequence

import numpy as np

_RING = 3  # times as many rows as the ball holds: as near as can be, and enough to know their shares


def islands(neighbours: np.ndarray, labels: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(n, s) log-likelihood ratio of each ball around each row, and (n,) the best of those that hold a row of their own label.

    neighbours: (n, m) rows by distance, each first its own.  The ratio is of one share of the middle row's label in the ball and
    another in the ring around it against one for both; 0 where the ball has no more of it (Kulldorff 1997, with a local outside).
    """
    same = labels[neighbours] == labels[:, None]
    found, total = np.cumsum(same, axis=1), np.arange(1, same.shape[1] + 1)
    ratios, best = np.zeros((len(labels), len(sizes))), np.zeros(len(labels))
    for place, size in enumerate(sizes):
        reach = min(same.shape[1], (1 + _RING) * size)
        if reach <= size:
            continue
        inside, outside = found[:, size - 1], found[:, reach - 1] - found[:, size - 1]
        shares = inside / total[size - 1], (outside + 0.5) / (reach - size + 1)
        ratio = size * _divergence(*shares)
        ratios[:, place] = np.where(shares[0] > shares[1], ratio, 0.0)
        spread = np.where(same[:, :size], ratios[:, [place]], 0.0)
        np.maximum.at(best, neighbours[:, :size].ravel(), spread.ravel())
    return ratios, best


def reach(sizes: Sequence[int]) -> int:
    """Neighbours that `islands` needs, the row itself among them."""
    return (1 + _RING) * max(sizes)


def _divergence(seen: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Of Kullback and Leibler, between two shares; expected never 0 or 1."""
    seen = np.clip(seen, 1e-12, 1 - 1e-12)
    return np.asarray(seen * np.log(seen / expected) + (1 - seen) * np.log((1 - seen) / (1 - expected)))
