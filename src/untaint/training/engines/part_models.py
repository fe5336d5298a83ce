"""One model of a certified ensemble, from nothing but its own rows: where a row belongs, its features, and one ridge solve."""

from hashlib import blake2b
from typing import Final

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from untaint.numerics.column_scales import column_scales
from untaint.numerics.orientations import count, orientations
from untaint.numerics.ridge import Fourier, fourier, one_hot
from untaint.types import Labels, Mask, Rows

_FEATURES: Final = 1024  # cosines; 2,048 add 0.1 points to one model of 240 digits, 512 take 0.4 (validated on training rows)
_PENALTY: Final = 0.02  # ridge, where a row's features have length 1: 0.01 to 0.03 are equal on digits, 0.1 costs 0.5 points
_GAMMA_PICTURES: Final = 1.0  # of the Gaussian kernel on features of length 1: 0.5 to 1 are equal, 2 costs 0.5 points
_GAMMA_TABLES: Final = 0.3  # over the number of columns: 0.1 to 1 are within 3 points of it on four tables of 200 rows per model
_WIDEST: Final = 5.0  # robust standard deviations: a cell of a table counts as no further out


def prepared(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Float32 inputs, pictures within 0..1, and which rows are finite; the numbers of others are 0."""
    with np.errstate(over="ignore"):
        values = inputs.astype(np.float32) / (np.float32(255) if inputs.dtype == np.uint8 and inputs.ndim > 2 else 1)
    usable = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    values[~usable] = 0
    if inputs.ndim > 2:
        values = values.clip(0, 1)
    return values + 0, usable  # + 0: minus nought hashes as nought


def parts_of(usable: np.ndarray, targets: Labels, kept: Rows, parts: int, seed: int) -> list[Rows]:
    """Rows of each part, ordered by hash and label."""
    hashed = _hashed(usable, kept, seed, b"")
    order = np.lexsort((targets[kept], hashed[:, 1], hashed[:, 0]))
    part = (hashed[order, 0] % np.uint64(parts)).astype(np.int64)
    return [kept[order[part == number]] for number in range(parts)]


def held_out(inputs: np.ndarray, share: float, seed: int) -> Mask:
    """(n,) rows to measure on, about that share, each by the hash of its own inputs.

    With rows drawn by their numbers, one row more would change which others are trained on.
    """
    values, _ = prepared(inputs)
    hashed = _hashed(values, np.arange(len(values)), seed, b"held out")[:, 0]
    return np.asarray((hashed >> np.uint64(11)) * 2.0**-53 < share)


def _hashed(values: np.ndarray, rows: Rows, seed: int, purpose: bytes) -> np.ndarray:
    """(rows, 2) uint64 hashes of the inputs of some rows."""
    key = seed.to_bytes(16, "little", signed=True)
    digests = [blake2b(values[row].tobytes(), digest_size=16, key=key, person=purpose).digest() for row in rows]
    return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)


def reach_of(parts: int, spread: int, rng: np.random.Generator) -> np.ndarray:
    """(parts, spread) models each part is given to: the same steps on from its own number, drawn once (Wang et al., section 4.1)."""
    steps = np.concatenate([[0], 1 + rng.permutation(parts - 1)[: spread - 1]])
    return np.asarray((np.arange(parts)[:, None] + steps) % parts)


def described(rows: np.ndarray) -> np.ndarray:
    """(n, d) what is known of prepared rows before any model is: edges of pictures, cells of tables as they are."""
    return rows if rows.ndim == 2 else orientations(rows)


def width(shape: tuple[int, ...]) -> int:
    """d: how many numbers are known of an input of that shape."""
    return shape[0] if len(shape) == 1 else count(*shape)


def cosines(size: int, table: bool, rng: np.random.Generator) -> Fourier:
    """The random features that all models share, for `size` numbers per row."""
    return fourier(size, _FEATURES, _GAMMA_TABLES / size if table else _GAMMA_PICTURES, rng)  # a scaled cell varies by about 1


def scaled(table: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Cells of a table as robust standard deviations from the centre, none far out."""
    with np.errstate(over="ignore", invalid="ignore"):
        found: np.ndarray = ((table - centre) / scale).clip(-_WIDEST, _WIDEST)
    return found


def fitted(
    rows: np.ndarray, codes: Labels, classes: int, features: Fourier, table: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """One model: weights (features, classes), centre and scale of its rows (empty for pictures), number of rows. No rows: all 0."""
    centre = scale = np.empty(0, np.float32)
    if table:
        centre, scale = column_scales(rows)
        rows = scaled(rows, centre, scale)
    if not len(codes):
        return np.zeros((len(features.phases), classes), np.float32), centre, scale, 0
    return _ridge(features(rows), one_hot(codes, classes)), centre, scale, len(codes)


def _ridge(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Ridge regression (d, k) in whichever form is smaller; not a number where it cannot be solved."""
    wide = len(features) <= features.shape[1]
    with np.errstate(invalid="ignore", over="ignore"):
        gram = (features @ features.T if wide else features.T @ features).astype(np.float64)
        gram[np.diag_indices_from(gram)] += _PENALTY
        try:
            factor = cho_factor(gram, check_finite=False)
        except (LinAlgError, ValueError):
            return np.full((features.shape[1], targets.shape[1]), np.nan, np.float32)
        solved = cho_solve(factor, (targets if wide else features.T @ targets).astype(np.float64), check_finite=False)
        return np.asarray(features.T @ solved.astype(np.float32) if wide else solved, np.float32)
