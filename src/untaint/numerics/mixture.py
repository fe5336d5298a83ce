"""One line of numbers: one population or two?"""

from dataclasses import dataclass
from typing import final

import numpy as np

_START_QUANTILES = (0.02, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.98)
_ITERATIONS = 60
_FLOOR = 1e-3  # variance floor of a component, in units of the whole variance: keeps a component off a single point


@final
@dataclass(frozen=True)
class TwoComponents:
    """Best two-Gaussian fit. separation: Ashman's D (Ashman, Bird, Zepf 1994, eq. 4), 2 = just bimodal.

    gain: log likelihood per value over one Gaussian, nats.  upper: membership 0..1 of the component with the larger mean.
    """

    separation: float
    gain: float
    upper: np.ndarray


def two_components(values: np.ndarray) -> TwoComponents:
    """Fit by EM from nine starting cuts, best kept. Constant input gives separation 0."""
    if len(values) < 4 or np.ptp(values) == 0:  # two per component; the std of equal values need not be 0
        return TwoComponents(0.0, 0.0, np.zeros(len(values)))
    spread = float(values.std())
    standard = ((values - values.mean()) / spread).astype(np.float64)
    fits = [_em(standard, float(np.quantile(standard, q))) for q in _START_QUANTILES]
    likelihood, means, variances, upper = max(fits, key=lambda fit: fit[0])
    single = -0.5 * np.log(2 * np.pi) - 0.5
    separation = np.sqrt(2) * abs(means[1] - means[0]) / np.sqrt(variances.sum())
    return TwoComponents(float(separation), likelihood - single, upper if means[1] > means[0] else 1 - upper)


def _em(values: np.ndarray, cut: float) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    upper = (values > cut).astype(np.float64)
    for _ in range(_ITERATIONS):
        weights = np.stack([1 - upper, upper])
        mass = weights.sum(1).clip(1e-6)
        means = weights @ values / mass
        variances = (weights * (values - means[:, None]) ** 2).sum(1) / mass + _FLOOR
        shares = (mass / len(values)).clip(1e-6)
        logs = (
            np.log(shares / np.sqrt(2 * np.pi * variances))[:, None] - (values - means[:, None]) ** 2 / (2 * variances)[:, None]
        )
        joint = np.logaddexp(logs[0], logs[1])
        upper = np.exp(logs[1] - joint)
    return float(joint.mean()), means, variances, upper


def whitener(centred: np.ndarray, shrinkage: float = 0.05) -> np.ndarray:
    """Symmetric inverse root (d, d) of the covariance of centred rows, shrunk towards its mean variance."""
    covariance = (centred.T @ centred).astype(np.float64) / max(len(centred), 1)
    size = len(covariance)
    scale = max(float(np.trace(covariance)) / size, 1e-12)
    covariance = (1 - shrinkage) * covariance + shrinkage * scale * np.eye(size)
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)
    return root
