"""One line of numbers: one population or two?"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import expit

_START_QUANTILES = (0.02, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.98)
_ITERATIONS = 60
_FLOOR = 1e-3  # variance floor of a component, in units of the whole variance: keeps a component off a single point


@final
@dataclass(frozen=True)
class TwoComponents:
    """Best two-Gaussian fit. separation: Ashman's D (Ashman, Bird, Zepf 1994, eq. 4), 2 = just bimodal.

    gain: log likelihood per value over one Gaussian, nats.  means, variances, shares: (2,) of the lower and the upper
    component, in the units of the values.  upper: membership 0..1 of each fitted value in the upper component.
    """

    separation: float
    gain: float
    means: np.ndarray
    variances: np.ndarray
    shares: np.ndarray
    upper: np.ndarray

    def membership(self, values: np.ndarray) -> np.ndarray:
        """(m,) membership 0..1 of any values in the upper component."""
        return _upper((values - self.means[0]), self.means - self.means[0], self.variances, self.shares)


def two_components(values: np.ndarray) -> TwoComponents:
    """Fit by EM from nine starting cuts, best kept. Constant input gives separation 0."""
    if len(values) < 4 or np.ptp(values) == 0:  # two per component; the std of equal values need not be 0
        means = np.full(2, values[0] if len(values) else 0.0, np.float64)
        return TwoComponents(0.0, 0.0, means, np.ones(2), np.array([1.0, 0.0]), np.zeros(len(values)))
    middle, spread = float(values.mean()), float(values.std())
    standard = ((values - middle) / spread).astype(np.float64)
    fits = list(zip(*_em(standard, np.quantile(standard, _START_QUANTILES)), strict=True))
    likelihoods = [float(np.logaddexp(*_joint(standard, *fit)).mean()) for fit in fits]
    likelihood, (means, variances, shares) = max(zip(likelihoods, fits, strict=True), key=lambda pair: pair[0])
    order = np.argsort(means)
    means, variances, shares = means[order], variances[order], shares[order]
    single = -0.5 * np.log(2 * np.pi) - 0.5
    separation = np.sqrt(2) * abs(means[1] - means[0]) / np.sqrt(variances.sum())
    upper = _upper(standard, means, variances, shares)
    scale = spread**2
    return TwoComponents(float(separation), likelihood - single, middle + spread * means, scale * variances, shares, upper)


def _joint(values: np.ndarray, means: np.ndarray, variances: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(2, m) log of share times density of each component."""
    heights = np.log(np.maximum(shares, 1e-6) / np.sqrt(2 * np.pi * variances))
    return np.asarray(heights[:, None] - (values - means[:, None]) ** 2 / (2 * variances)[:, None])


def _upper(values: np.ndarray, means: np.ndarray, variances: np.ndarray, shares: np.ndarray) -> np.ndarray:
    logs = _joint(np.asarray(values, np.float64), means, variances, shares)
    return np.asarray(np.exp(logs[1] - np.logaddexp(logs[0], logs[1])))


def _em(values: np.ndarray, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, variances and shares (starts, 2) after a fixed number of rounds, all starting cuts at once.

    Sums of values and squares say all there is to know: values are standard, so no precision is lost.
    """
    powers = np.stack([np.ones_like(values), values, values**2])
    whole = powers.sum(1)
    upper = (values > cuts[:, None]).astype(np.float64)
    for _ in range(_ITERATIONS):
        above = upper @ powers.T
        count, first, second = np.stack([whole - above, above], axis=-1).transpose(1, 0, 2)
        mass = count.clip(1e-6)
        means = first / mass
        variances = ((second - 2 * means * first + means**2 * count) / mass).clip(0) + _FLOOR
        shares = (mass / len(values)).clip(1e-6)
        terms = np.stack(
            [np.log(shares) - np.log(variances) / 2 - means**2 / (2 * variances), means / variances, -0.5 / variances]
        )
        upper = expit((terms[..., 1] - terms[..., 0]).T @ powers)
    return means, variances, shares


_LARGE = 1024  # from here on single precision does: twice as fast, and 5 % shrinkage bounds the condition number


def whitener(centred: np.ndarray, shrinkage: float = 0.05) -> np.ndarray:
    """Symmetric inverse root (d, d) of the covariance of centred rows, shrunk towards its mean variance."""
    covariance = (centred.T @ centred).astype(np.float64) / max(len(centred), 1)
    size = len(covariance)
    scale = max(float(np.trace(covariance)) / size, 1e-12)
    covariance = (1 - shrinkage) * covariance + shrinkage * scale * np.eye(size)
    values, vectors = np.linalg.eigh(covariance.astype(np.float32) if size > _LARGE else covariance)
    root: np.ndarray = ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)
    return root
