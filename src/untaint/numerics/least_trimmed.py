"""Least trimmed squares: the line that fits the best-fitting half of the rows best, whatever the rest hold.

One point far out turns ordinary least squares around, and robust losses with it, since a point with enough leverage has no residual to
be bounded. The sum of the h smallest squared residuals does not see it. Its least is searched as in Rousseeuw and Van Driessen 2006
(doi 10.1007/s10618-005-0024-4): many starts on few rows, each improved by C-steps (fit the h rows that fit best, again and again, which
never makes it worse); the best go on to the end, on all rows. Rows that then lie near the line are fitted once more together, so that
honest rows are not wasted.
"""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.stats import chi2

from untaint.errors import BadInput
from untaint.numerics.column_scales import column_scales, usable
from untaint.types import Mask

_STARTS: Final = 500  # of them, 2 C-steps each, 10 go on: the numbers of the paper, section 3
_FIRST, _BEST = 2, 10
_STEPS: Final = 100  # C-steps at most; 10 to 20 are usual
_SAMPLE: Final = 1500  # rows on which starts are tried, as many as the paper's five nested sets hold together
_POOR: Final = 1e-4  # of pivots: their squares are what normal equations lose of the 16 digits
_CUT: Final = 2.5  # standard deviations: rows further off are left out of the last fit (Rousseeuw and Leroy 1987)


@final
@dataclass(frozen=True)
class LeastTrimmed:
    """A fitted line. coefficients (d,).  intercept.  scale: of the honest rows' noise.  objective: sum of the h smallest squares.

    kept (n,): rows of the last fit; rows that hold a number that is not finite or over 1e100 never are.
    """

    coefficients: np.ndarray
    intercept: float
    scale: float
    objective: float
    kept: Mask

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """(m,) values of the line at inputs (m, d)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(inputs @ self.coefficients + self.intercept)


def least_trimmed(
    inputs: np.ndarray, targets: np.ndarray, *, honest: float = 0.5, starts: int = _STARTS, seed: int = 0
) -> LeastTrimmed:
    """Fit targets (n,) by inputs (n, d) and a constant. honest: share of rows that certainly follow one line; 1/2 bears most, 1 is OLS.

    Withstands a share of 1 - honest of rows that hold anything at all; what they hold neither fails nor warns. Deterministic for a seed.
    Raises BadInput for fewer usable rows than 2 (d + 1), or a share outside 1/2..1.
    """
    x, y = np.asarray(inputs, np.float64), np.asarray(targets, np.float64)
    rows = np.flatnonzero(usable(x, y))
    if len(rows) < 2 * (x.shape[1] + 1):
        raise BadInput(f"{len(rows)} usable rows are too few for {x.shape[1]} columns.", advice="Give at least 2 (d + 1).")
    if not 0.5 <= honest <= 1 or starts < 1:
        raise BadInput(f"honest={honest}, starts={starts}: a share in 0.5..1 and at least one start are needed.")
    centre, spread = column_scales(x[rows])
    (middle,), (wide,) = column_scales(y[rows, None])
    z = np.column_stack([(x[rows] - centre) / spread, np.ones(len(rows))])
    v = (y[rows] - middle) / wide
    best, objective = _searched(z, v, honest, starts, np.random.default_rng(seed))
    near, noise = _near(z, v, best, objective, honest)
    if near.sum() > z.shape[1]:
        best = _line(z[near], v[near])
    kept = np.zeros(len(x), bool)
    kept[rows[near]] = True
    coefficients = best[:-1] * wide / spread
    return LeastTrimmed(
        coefficients, float(middle + best[-1] * wide - coefficients @ centre), noise * wide, objective * wide**2, kept
    )


def _half(n: int, d: int, honest: float) -> int:
    """Rows h that are fitted; (n + d + 1) / 2 of them withstand most (Rousseeuw and Leroy 1987, chapter 3, theorem 6)."""
    least = (n + d + 1) // 2
    return min(n, round(2 * least - n + 2 * (n - least) * honest))


def _searched(z: np.ndarray, v: np.ndarray, honest: float, starts: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    n, d = z.shape
    sample = np.sort(rng.permutation(n)[:_SAMPLE])
    few, said = z[sample], v[sample]
    h = _half(len(few), d, honest)
    lines = [*_central(few, said, h), *(_through(few, said, rng) for _ in range(starts))]
    tried = [_c_steps(few, said, line, h, _FIRST) for line in lines]
    tried.sort(key=lambda found: found[1])
    ended = [_c_steps(z, v, line, _half(n, d, honest), _STEPS) for line, _ in tried[:_BEST]]
    return min(ended, key=lambda found: found[1])


def _central(z: np.ndarray, v: np.ndarray, h: int) -> list[np.ndarray]:
    """Starts without chance: all rows, and those nearest the middle of all columns, which lone far points are not among."""
    far = (z**2).sum(axis=1) + v**2
    near = np.argsort(far, kind="stable")[:h]
    return [_line(z, v), _line(z[near], v[near])]


def _through(z: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The line through as few rows as determine one; of rows in which a column does not vary, the shortest such line."""
    rows = rng.choice(len(z), z.shape[1], replace=False)
    try:
        return np.linalg.solve(z[rows], v[rows])
    except np.linalg.LinAlgError:
        return _line(z[rows], v[rows])


def _c_steps(z: np.ndarray, v: np.ndarray, line: np.ndarray, h: int, steps: int) -> tuple[np.ndarray, float]:
    """A line after so many C-steps at most, and its objective."""
    best = (line, np.inf)
    for _ in range(steps):
        rows = np.argpartition(_squares(z, v, line), h - 1)[:h]
        line = _quick_line(z[rows], v[rows])
        objective = float(np.partition(_squares(z, v, line), h - 1)[:h].sum())
        if not objective < best[1]:
            break
        best = (line, objective)
    return best


def _squares(z: np.ndarray, v: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Squared residuals; infinite where they are too large or the line has no value."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares: np.ndarray = (v - z @ line) ** 2
    squares[np.isnan(squares)] = np.inf
    return squares


def _line(z: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Least squares of columns of any size: they are scaled first, so that one far row does not make the others vanish."""
    size = np.maximum(np.abs(z).max(axis=0), 1e-300)
    return np.asarray(np.linalg.lstsq(z / size, v)[0] / size)


def _quick_line(z: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The same by normal equations, which are faster; where they would lose half of the digits or more, as above."""
    size = np.maximum(np.abs(z).max(axis=0), 1e-300)
    scaled = z / size
    try:
        factor, low = cho_factor(scaled.T @ scaled, check_finite=False)
    except LinAlgError:
        return _line(z, v)
    pivots = np.diag(factor)
    if pivots.min() < _POOR * pivots.max():
        return _line(z, v)
    return np.asarray(cho_solve((factor, low), scaled.T @ v, check_finite=False) / size)


def _near(z: np.ndarray, v: np.ndarray, line: np.ndarray, objective: float, honest: float) -> tuple[Mask, float]:
    """Rows within the cut of a line, and the standard deviation of the noise that the trimmed sum of squares speaks of."""
    n, d = z.shape
    share = _half(n, d, honest) / n
    # the mean square of the middle share of a normal distribution (Croux and Rousseeuw 1992)
    full = chi2.cdf(chi2.ppf(share, 1), 3) / share if share < 1 else 1.0
    noise = float(np.sqrt(objective / (share * n) / full))
    tiny = 1e-12 * max(1.0, float(np.median(np.abs(v))))  # a perfect fit leaves rounding
    return _squares(z, v, line) <= max(_CUT * noise, tiny) ** 2, noise
