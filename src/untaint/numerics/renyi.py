"""Rényi accounting of training by noisy sums of sampled rows.

Each step every row is drawn with one probability, the sum of the drawn rows' vectors, each at most as long as 1, gets Gaussian noise
(Abadi et al. 2016, arXiv 1607.00133; Mironov, Talwar, Zhang 2019, arXiv 1908.10530). Quick, and a little looser than `privacy_loss`.
"""

import numpy as np
from scipy.special import gammaln, logsumexp

ORDERS = np.array([1 + x / 10 for x in range(1, 100)] + [*range(11, 64), 128, 256, 512, 1024], float)
"""Tenths where the best order lies for usual budgets, then ever wider: the grid of the libraries, so that figures can be compared."""
_FRACTIONAL = 11
"""From here on orders are whole, and a finite sum gives their divergence."""
_TAIL = 12.0  # standard deviations: what lies beyond has less than 1e-32 of the mass
_FINENESS = 4.0
"""Points per min(noise, noise²). The trapezoid rule's error is exp(-2 pi × the distance of the nearest complex singularity / step):
pi noise² here, so under 1e-34; and exp(-2 pi² × 16) of the Gaussian itself (Trefethen, Weideman 2014, doi 10.1137/130932132)."""


def divergences(noise: float, rate: float, orders: np.ndarray = ORDERS) -> np.ndarray:
    """(o,) Rényi divergence of one step, of each order above 1; the worse of one row more and one row less.

    noise: standard deviation over the longest a row's vector can be, > 0.  rate: probability that a row is drawn, 0..1.
    Orders under 11 are integrated, others must be whole: Mironov et al. 2019, section 3.3.
    """
    if rate == 0:
        return np.zeros(len(orders))
    if rate == 1:  # the plain Gaussian
        return np.asarray(orders / (2 * noise**2))
    moments = np.empty(len(orders))
    low = orders < _FRACTIONAL
    moments[low] = _integrated(noise, rate, orders[low])
    moments[~low] = [_summed(noise, rate, int(order)) for order in orders[~low]]
    return np.maximum(moments, 0) / (orders - 1)  # a divergence is not negative; rounding may be


def _integrated(noise: float, rate: float, orders: np.ndarray) -> np.ndarray:
    """Logarithm of the mean of (density with the row / density without)^order, without the row, by the trapezoid rule."""
    if not len(orders):
        return np.empty(0)
    step = min(noise, noise**2) / _FINENESS
    x = np.arange(-_TAIL * noise, orders.max() + _TAIL * noise, step)
    ratio = np.logaddexp(np.log1p(-rate), np.log(rate) + (2 * x - 1) / (2 * noise**2))
    density = -(x**2) / (2 * noise**2) - np.log(noise * np.sqrt(2 * np.pi)) + np.log(step)
    return np.array([logsumexp(density + order * ratio) for order in orders])


def _summed(noise: float, rate: float, order: int) -> float:
    """The same for a whole order, by the binomial theorem."""
    k = np.arange(order + 1)
    chosen = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    return float(logsumexp(chosen + (order - k) * np.log1p(-rate) + k * np.log(rate) + (k**2 - k) / (2 * noise**2)))


def epsilon(total: np.ndarray, delta: float, orders: np.ndarray = ORDERS) -> float:
    """The least epsilon that (o,) divergences of a whole run give at delta in (0, 1), >= 0.

    Canonne, Kamath, Steinke 2020, arXiv 2004.00010, proposition 12; Balle et al. 2020, arXiv 1905.09982, theorem 21.
    """
    if (np.expm1(-total) + delta**2 > 0).any():  # delta <= sqrt(1 - exp(-divergence)): nothing to tell the two apart by
        return 0.0
    bounds = total + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    return float(max(bounds.min(), 0.0))
