"""How many labels are wrong for no reason: the share of errors that is left where a judge is surest.

Honest errors thin out as the judge gets surer; a label flipped at random is as frequent among rows beyond doubt as among others. So
errors are a logistic curve of sureness that ends at a share, which psychophysics calls the lapse rate (Wichmann, Hill 2001).
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit, xlogy

_STARTS = (0.003, 0.1)  # shares to begin from: the curve may explain errors away, or hardly any
STEEPNESS, SHIFT = (-2.0, 2.0), (-3.0, 3.0)
"""Logarithm of how much faster errors thin out than the judge says, and where: calibrated judges are at 0 and 0."""
BELIEF = 0.05  # weight of those zeros beside the rows
_SMALLEST, _LARGEST = 1e-4, 0.49


class Lapses(NamedTuple):
    """share: of labels wrong for no reason.  logarithm: of the likelihood.  slope, shift: of the curve of honest errors."""

    share: float
    logarithm: float
    slope: float = 1.0
    shift: float = 0.0

    def lapsed(self, sureness: np.ndarray) -> np.ndarray:
        """(n,) probability that an error is one for no reason."""
        honest = (1 - 2 * self.share) * expit(-(self.slope * sureness + self.shift))
        return np.asarray(self.share / np.maximum(self.share + honest, 1e-12))


def lapses(sureness: np.ndarray, wrong: np.ndarray, share: float | None = None) -> Lapses:
    """Fit the share, or the curve under a given one. sureness: (n,) log odds, wrong: (n,) bool."""
    if len(wrong) == 0:
        return Lapses(0.0 if share is None else share, 0.0)
    lowest, highest = (share, share) if share is not None else (_SMALLEST, _LARGEST)
    starts = _STARTS if share is None else (share,)

    def loss(at: np.ndarray) -> float:
        lapse = expit(at[2])
        erring = np.clip(lapse + (1 - 2 * lapse) * expit(-(np.exp(at[0]) * sureness + at[1])), 1e-9, 1 - 1e-9)
        return float(-(xlogy(wrong, erring) + xlogy(~wrong, 1 - erring)).sum() + BELIEF * (at[0] ** 2 + at[1] ** 2))

    bounds = [STEEPNESS, SHIFT, (logit(max(lowest, _SMALLEST)), logit(highest))]
    found = min(
        (minimize(loss, [0.0, 0.0, logit(start)], method="L-BFGS-B", bounds=bounds) for start in starts),
        key=lambda each: each.fun,
    )
    return Lapses(float(expit(found.x[2])), -float(found.fun), float(np.exp(found.x[0])), float(found.x[1]))
