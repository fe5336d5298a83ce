"""How many directions a change of a matrix has that rounding can't have made, from one pass over its pieces.

The change D (m, n) is multiplied by random normal vectors, Y = D W, (m, k). Y has the rank of D as long as that is below k, and what
rounding did to D shows in Y as noise whose largest singular value is known beforehand; the rank is the number of those above it.
Reference: Halko, Martinsson, Tropp 2011, SIAM Review 53(2), section 4 (range finder); Bandeira, van Handel 2016, arXiv 1408.6185,
theorem 1.1 (norm of a random matrix whose entries differ in variance).
"""

from typing import final

import numpy as np

from untaint.numerics.number_formats import Format

_MOST, _LEAST = 80, 16
"""Random vectors: enough for adapters of rank 64, the largest that is usual, and fewer where they would take more memory than `_MEMORY`."""
_MEMORY = 64_000_000  # bytes of W and Y
_SAFE = 1.5
"""The bound on the noise holds on average; its largest singular value hardly strays (at 100 x 100 by 3 %), but errors come in twos:
the sum was rounded, and so was the product that was added."""
_EXACT = 1e-5  # of the largest singular value: the rounding of this product itself, in float32
_GAP = 1.25
"""Where a rank ends, singular values drop to those of rounding. In a change that is full of small noise neighbours differ by 2 %."""
_DROWNED = 0.1
"""Share of the squared change that rounding alone could make: from there on a change is small steps of the format here and there, and
looks of low rank whatever it was."""
_FULL = 0.75
"""Share of k from which a rank is only known to be at least that."""


@final
class Sketch:
    """Y of a matrix (m, n), filled piece by piece. vectors: k, 0 = the matrix is too long for any."""

    def __init__(self, shape: tuple[int, int], seed: int) -> None:
        rows, columns = shape
        fit = _MEMORY // (4 * max(rows + columns, 1))
        self.vectors = min(rows, columns, max(_LEAST, min(_MOST, fit))) if fit >= _LEAST // 2 else 0
        generator = np.random.default_rng(seed)
        self.random = generator.standard_normal((columns, self.vectors), np.float32)
        self.seen = np.zeros((rows, self.vectors), np.float32)

    def add(self, change: np.ndarray, row: int, column: int) -> None:
        """A piece (rows, columns) of the change that begins there."""
        if self.vectors:
            part = self.random[column : column + change.shape[1]]
            self.seen[row : row + len(change)] += change.astype(np.float32, copy=False) @ part

    def rank(self, new_rows: np.ndarray, moved: float, form: Format) -> tuple[float, bool]:
        """The rank, and whether it may be larger. new_rows: (m,) squared norms of the new rows.  moved: squared norm of the change.

        form: the coarser of the two.
        NaN when the matrix was too long.
        """
        if not self.vectors:
            return float("nan"), False
        errors = form.roundoff**2 / 3 * new_rows + len(self.random) * form.tiny**2 / 12
        noise = np.sqrt(self.vectors * errors.max()) + np.sqrt(errors.sum())
        rank, clear = _above(_singular(self.seen), noise)
        return float(rank), not clear or rank >= _FULL * self.vectors or bool(errors.sum() > _DROWNED * moved)


def _singular(tall: np.ndarray) -> np.ndarray:
    """Singular values of (m, k), largest first."""
    wide = tall if len(tall) <= tall.shape[1] else np.linalg.qr(tall.astype(np.float64), mode="r")
    return np.linalg.svd(wide, compute_uv=False)


def rank_of_part(old: np.ndarray, new: np.ndarray, form: Format) -> tuple[float, bool]:
    """The rank of a change (n, n) that is held whole, and whether it may be larger. form: the coarser of the two formats."""
    errors = form.roundoff**2 / 3 * new**2 + form.tiny**2 / 12
    noise = np.sqrt(errors.sum(1).max()) + np.sqrt(errors.sum(0).max())
    change = new - old
    squares = np.linalg.eigvalsh(change @ change.T)[::-1]
    rank, clear = _above(np.sqrt(np.maximum(squares, 0.0)), noise)
    drowned = bool(errors.sum() > _DROWNED * np.sum(change**2))
    return float(rank), not clear or drowned or rank > len(new) // 2


def _above(values: np.ndarray, noise: float) -> tuple[int, bool]:
    """How many singular values (largest first) noise can't explain, and whether they stand out from the rest."""
    rank = int(np.count_nonzero(values > max(_SAFE * noise, _EXACT * values[0])))
    clear = rank == len(values) or (rank > 0 and bool(values[rank - 1] > _GAP * values[rank]))
    return rank, clear
