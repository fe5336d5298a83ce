"""Linear models of data some of which lie: fit, look where the rows' gradients differ most, leave out those furthest along, fit again.

SEVER (Diakonikolas, Kamath, Kane, Li, Steinhardt and Stewart 2019, arXiv 1803.02815, algorithms 1 and 2, in the form of its experiments).
Rows that move a fit together must have gradients that agree and are large; then the direction in which all gradients vary most is theirs.
It needs an upper bound on the share of such rows, and honest rows whose gradients are not as far spread as theirs: it finds outliers with
a structure. Rows that are wrong but pull nowhere in common, such as labels flipped at random, stay, and so do backdoors of deep networks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from untaint.errors import BadInput
from untaint.numerics.column_scales import column_scales, usable
from untaint.numerics.pulls import strays
from untaint.types import Labels, Mask

ROUNDS: Final = 4
"""Of looking and leaving out; each leaves out half of the share, as in the paper's experiments (section 4): twice the share in all, of
clean data as well: a share of 5 % costs 1.3 points on a clean table of spam."""
_FAR: Final = 1e6  # spreads of a column: such a row is left out unseen, since solvers lose the others beside it
_SOLVER: Final = 200  # steps of L-BFGS; what is left to gain after them changes no ranking

Residuals = np.ndarray
"""(n, k) slope of each row's loss by the model's outputs."""
Fit = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, Residuals]]
"""Places (n, d + 1), whose last column is 1, and targets (n, ...) -> weights (d + 1, k), and the residuals of those rows."""


@final
@dataclass(frozen=True)
class Severed:
    """A linear model and what it was fitted on. weights (d, k), constant (k,): outputs are inputs @ weights + constant.

    kept (n,): rows of the last fit.  pulls (n,): squared length of each row's gradient along the direction of most variance in the last
    round it was looked at, over the mean of its group; NaN = left out unseen, as it holds a number that is not finite or too far out.
    """

    weights: np.ndarray
    constant: np.ndarray
    kept: Mask
    pulls: np.ndarray

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """(m, k) of inputs (m, d): values of a regression, logits of classes."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(inputs @ self.weights + self.constant)


def sever_regression(inputs: np.ndarray, targets: np.ndarray, *, share: float = 0.1, rounds: int = ROUNDS) -> Severed:
    """Least squares of targets (n,) on inputs (n, d) with the filter. share: upper bound on the share of bad rows, 0..0.5.

    Raises BadInput for too few usable rows or a senseless share.
    """
    y = np.asarray(targets, np.float64)
    (middle,), (wide,) = column_scales(y[usable(y), None])
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (y - middle) / wide
    scaled[~(np.abs(scaled) <= _FAR)] = np.nan
    found = sever_filter(_squares, inputs, scaled, share=share, rounds=rounds)
    return Severed(found.weights * wide, found.constant * wide + middle, found.kept, found.pulls)


def sever_softmax(
    inputs: np.ndarray, labels: Labels, classes: int, *, share: float = 0.1, rounds: int = ROUNDS, penalty: float = 1e-3
) -> Severed:
    """Softmax regression of class codes (n,) on inputs (n, d) with the filter, each class's gradients about their own mean.

    penalty: of the squared weights (of columns scaled to spread 1), beside the mean loss. Rows with codes outside 0..classes-1 are left
    out. Raises BadInput as `sever_regression` does.
    """
    codes = np.where((labels >= 0) & (labels < classes), labels, np.nan)

    def fit(places: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, Residuals]:
        return _softmax(places, said.astype(np.int64), classes, penalty)

    return sever_filter(fit, inputs, codes, share=share, rounds=rounds, groups=np.asarray(labels))


def sever_filter(
    fit: Fit, inputs: np.ndarray, targets: np.ndarray, *, share: float, rounds: int = ROUNDS, groups: Labels | None = None
) -> Severed:
    """The filter around any fit of a linear model to inputs (n, d), whose columns are first scaled to median 0 and spread 1.

    groups (n,): gradients are compared with those of the same group. Rows of targets that are not finite are left out.
    Raises BadInput when fewer than d + 2 rows are usable, or the share is not in 0..0.5.
    """
    x, y = np.asarray(inputs, np.float64), np.asarray(targets, np.float64)
    if not 0 <= share <= 0.5 or rounds < 0:
        raise BadInput(f"share={share}, rounds={rounds}: a share of bad rows in 0..0.5 and rounds of 0 or more are needed.")
    kept = usable(x, y)
    centre, spread = column_scales(x[kept])
    with np.errstate(over="ignore", invalid="ignore"):
        places = np.column_stack([(x - centre) / spread, np.ones(len(x))])
        kept &= (np.abs(places) <= _FAR).all(axis=1)
    if kept.sum() < x.shape[1] + 2:
        raise BadInput(f"{kept.sum()} usable rows are too few for {x.shape[1]} columns.", advice="Give at least d + 2.")
    of = np.zeros(len(x), np.int64) if groups is None else groups
    budget, pulls = int(share / 2 * kept.sum()), np.full(len(x), np.nan)
    for _ in range(rounds):
        rows = np.flatnonzero(kept)
        _, residuals = fit(places[rows], y[rows])
        pulls[rows] = _compared(residuals, places[rows], of[rows])
        kept[rows[np.argsort(-pulls[rows], kind="stable")[:budget]]] = False
    weights, _ = fit(places[kept], y[kept])
    slopes = weights[:-1] / spread[:, None]
    return Severed(slopes, weights[-1] - centre @ slopes, kept, pulls)


def _compared(residuals: Residuals, places: np.ndarray, groups: Labels) -> np.ndarray:
    """Squared pulls over their group's mean."""
    pulls = np.zeros(len(groups))
    for group in np.unique(groups):
        own = groups == group
        found = strays(residuals[own], places[own])
        pulls[own] = found / max(float(found.mean()), 1e-300)
    return pulls


def _squares(places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, Residuals]:
    weights = np.linalg.lstsq(places, values[:, None])[0]
    return weights, places @ weights - values[:, None]


def _softmax(places: np.ndarray, codes: Labels, classes: int, penalty: float) -> tuple[np.ndarray, Residuals]:
    known = np.eye(classes)[codes]
    shape = (places.shape[1], classes)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        outputs = places @ weights
        free = penalty * np.vstack([weights[:-1], np.zeros((1, classes))])  # the constant is not held back
        value = -(known * log_softmax(outputs, axis=1)).sum() / len(places) + (free * weights).sum() / 2
        return float(value), (places.T @ (softmax(outputs, axis=1) - known) / len(places) + free).ravel()

    solved = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _SOLVER})
    weights = np.asarray(solved.x).reshape(shape)
    return weights, softmax(places @ weights, axis=1) - known
