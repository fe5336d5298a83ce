"""Means of rows by the distances between them: nearest-neighbour mixing, Krum, geometric median, centered clipping.

All of it happens in the n x n matrix of inner products: whatever a rule answers is a weighted mean of the rows, so one pass
reads them, the rule runs on n numbers, and one more pass adds them up. The products are of rows less a centre that few rows
cannot move, in double precision: an offset that all share would otherwise cancel away what differs.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from untaint.numerics.aggregation_ranks import Vector, Vectors, middle_mean

_BLOCK = 1 << 17
"""Numbers per block: 1 MB of float64."""
_SMOOTH = 1e-6
"""Distance, in typical distances from the centre, under which a row pulls a geometric median no harder (smoothed Weiszfeld)."""
_STILL = 1e-9
"""A geometric median has arrived when a step is shorter than this, in typical distances from the centre."""
_STEPS = 300
"""Weiszfeld steps at most. A usual crowd takes under 30; each costs n² multiplications."""

Weights = Float[np.ndarray, "n"]


@final
@dataclass(frozen=True)
class Space:
    """Rows (n, d), the centre (d,) they are seen from, and the inner products (n, n) of rows less centre."""

    rows: np.ndarray
    centre: np.ndarray
    products: np.ndarray

    @property
    def squares(self) -> np.ndarray:
        """(n, n) squared distances between rows."""
        norms = self.products.diagonal()
        squares = (norms[:, None] + norms - 2 * self.products).clip(0)
        np.fill_diagonal(squares, 0)
        return squares

    def squares_from(self, weights: np.ndarray) -> np.ndarray:
        """(n,) squared distances of the rows from centre + sum of weights times (row - centre)."""
        seen = self.products @ weights
        return (self.products.diagonal() - 2 * seen + weights @ seen).clip(0)

    def point(self, weights: np.ndarray) -> np.ndarray:
        """(d,) centre + sum of weights times (row - centre), in the precision of the rows."""
        out = np.empty(self.rows.shape[1], self.rows.dtype)
        for columns in _blocks(*self.rows.shape):
            out[columns] = self.centre[columns] + weights @ _less(self.rows, self.centre, columns)
        return out


def space(rows: Vectors, centre: Vector | None = None) -> Space:
    """Inner products of rows (n, d) seen from a centre (d,), by default their median of each coordinate.

    That of a row with itself is not finite where its squares are too large for float64.
    """
    middle = middle_mean(rows, (len(rows) - 1) // 2) if centre is None else centre
    products = np.zeros((len(rows), len(rows)))
    with np.errstate(over="ignore", invalid="ignore"):
        for columns in _blocks(*rows.shape):
            block = _less(rows, middle, columns)
            products += block @ block.T
    return Space(rows, middle, products)


def nearest_neighbour_mixing(seen: Space, f: int, weights: Weights | None = None) -> Vectors:
    """Each row replaced by the mean of the n - f rows nearest to it, itself included; by weighted means where weights are given.

    Source: Allouah et al. 2023, arXiv 2302.01772.
    """
    n = len(seen.rows)
    nearest = np.argpartition(seen.squares, n - f - 1, axis=1)[:, : n - f]
    mixing = np.zeros((n, n))
    np.put_along_axis(mixing, nearest, 1.0, axis=1)
    mixing *= 1.0 if weights is None else weights
    mixing /= mixing.sum(axis=1, keepdims=True)
    return mixing.astype(seen.rows.dtype) @ seen.rows


def krum_order(seen: Space, f: int) -> np.ndarray:
    """Rows from the one with the closest company to the one with the farthest: mean squared distance to the n - f - 1 nearest others.

    Source: Blanchard et al. 2017, arXiv 1703.02757, who count one neighbour less; n - f with the row itself is what the bounds of
    Allouah et al. 2023 (arXiv 2302.01772) hold for, whenever 2f < n.  Two rows that are each other's only company tie: the one
    nearer to the centre comes first.
    """
    nearest = np.sort(seen.squares, axis=1)[:, 1 : len(seen.rows) - f]
    return np.lexsort((seen.products.diagonal(), nearest.sum(axis=1)))


def krum(seen: Space, f: int) -> Vector:
    """The row with the closest company."""
    row: np.ndarray = seen.rows[krum_order(seen, f)[0]].copy()
    return row


def multi_krum(seen: Space, f: int, weights: Weights | None = None) -> Vector:
    """Mean of the n - f rows with the closest company."""
    chosen = np.zeros(len(seen.rows))
    chosen[krum_order(seen, f)[: len(seen.rows) - f]] = 1
    counts = chosen if weights is None else chosen * weights
    return seen.point(counts / counts.sum())


def geometric_median(seen: Space, weights: Weights | None = None) -> Vector:
    """The point with the least sum of distances to the rows, by Weiszfeld's steps from the centre.

    Source: Pillutla, Kakade, Harchaoui 2022, arXiv 1912.13445 (smoothed Weiszfeld).
    """
    counts = np.ones(len(seen.rows)) if weights is None else weights
    squares = seen.products.diagonal().clip(0)
    scale = float(np.median(squares))
    if scale == 0:  # more than half of all rows are the centre
        return seen.centre.copy()
    place = np.zeros(len(seen.rows))
    for _ in range(_STEPS):
        pulls = counts / np.sqrt(squares + _SMOOTH**2 * scale)
        step = pulls / pulls.sum() - place
        place = place + step
        if step @ seen.products @ step < _STILL**2 * scale:
            break
        squares = seen.squares_from(place)
    return seen.point(place)


def centered_clipping(seen: Space, radius: float | None = None, steps: int = 3, weights: Weights | None = None) -> Vector:
    """The centre, moved `steps` times by the mean of the differences to it, each cut to length `radius`.

    radius None: the median distance of the rows from the centre, which fewer than half of all rows cannot raise beyond what the
    others span.  Source: Karimireddy, He, Jaggi 2021, arXiv 2012.10333, whose centre is the previous answer and steps = 1.
    """
    shares = np.full(len(seen.rows), 1 / len(seen.rows)) if weights is None else weights / weights.sum()
    squares = seen.products.diagonal().clip(0)
    limit = float(np.median(np.sqrt(squares))) if radius is None else radius
    place = np.zeros(len(seen.rows))
    for _ in range(steps):
        cuts = shares * limit / np.maximum(np.sqrt(squares), max(limit, np.finfo(float).tiny))
        place = place * (1 - cuts.sum()) + cuts
        squares = seen.squares_from(place)
    return seen.point(place)


def _blocks(n: int, d: int) -> list[slice]:
    step = max(1, _BLOCK // n)
    return [slice(start, min(start + step, d)) for start in range(0, d, step)]


def _less(rows: np.ndarray, centre: np.ndarray, columns: slice) -> np.ndarray:
    return np.subtract(rows[:, columns], centre[columns], dtype=np.float64)
