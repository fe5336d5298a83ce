"""Accounting by the distribution of the privacy loss itself: as tight as the grid, and never below the truth.

One step of training draws each row with one probability and adds Gaussian noise to the sum. k rows that are in the set or not are
no easier to tell than a mixture of Gaussians, one per number of them drawn, from one Gaussian (Ganesh 2024, arXiv 2401.10294; for
one row Zhu, Dong, Wang 2022, arXiv 2106.08567). Its privacy loss is put on a grid so that all between grid points errs to the safe
side (Doroshenko et al. 2022, arXiv 2207.04380), and many steps are one power of a Fourier transform (Koskela et al. 2020,
arXiv 1906.03049). What falls off the grid, wraps around, or may have been rounded away counts as a certain breach.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import gammaln, logsumexp, ndtr, xlog1py, xlogy

_TAIL = 11.0  # standard deviations; 2e-28 of the mass lies beyond, times a million steps still nothing beside any delta
_TINY = 1e-24  # share of the mass of one step that may count as a breach outright
_OFF = 1e-18  # share of the mass of all steps that may lie outside the window of the transform
_EXCESS = 5e-6
"""Roughly how much the grid may add to epsilon: steps × gap² / 8, since a loss moved to the ends of its cell gains that at most."""
_COARSEST, _CELLS = 5e-3, 1 << 20
"""Gaps for few steps, where the excess would allow any; and about the longest transform, 0.2 s: beyond, the grid gets coarser."""
_FEWEST = 1 << 12  # cells of a rough look, and of steps that tell next to nothing
_HOPELESS = 600.0  # a loss that is as good as a breach; its exponential is still a number
_SLOPES, _FINER = 4.0 ** np.arange(-3, 6), 2.0 ** np.array([-1.2, -0.6, 0.6, 1.2])
_ROUNDING = np.finfo(float).eps


@final
@dataclass(frozen=True)
class Loss:
    """A privacy loss on a grid. masses[i] = probability of the loss (first + i) × gap; breach = probability of an infinite one."""

    first: int
    gap: float
    masses: np.ndarray
    breach: float

    def composed(self, steps: int, span: tuple[float, float] | None = None) -> "Loss":
        """The loss of as many independent steps. span: of a coarser grid of the same loss, saves looking again."""
        lowest, highest = span or self.span(steps)
        low, high = int(np.floor(lowest / self.gap)), int(np.ceil(highest / self.gap))
        cells = next_fast_len(high - low + 1, real=True)
        folded = np.bincount(np.arange(len(self.masses)) % cells, self.masses, cells)
        power = irfft(rfft(folded) ** steps, cells)
        start = low - steps * self.first
        masses = np.roll(power, -(start % cells)).clip(0)
        # each factor is rounded, so the transform is off by steps × log2(cells) roundings, and so is a sum over all cells
        rounded = _ROUNDING * steps * np.log2(cells) * np.sqrt(cells) * float(np.linalg.norm(power))
        breach = -np.expm1(steps * np.log1p(-min(self.breach, 1 - _ROUNDING)))
        return Loss(low, self.gap, masses, min(1.0, float(breach) + 2 * _OFF + rounded))

    def span(self, steps: int) -> tuple[float, float]:
        """Between what the sum of the losses lies but for next to nothing: Chernoff's bound at the best of some slopes.

        Holds for any finer grid of the same loss as well: with downward slopes of 1 or more these are means of convex functions of
        the ratio of the two densities, and a coarser grid only adds to such.
        """
        some = np.flatnonzero(self.masses)
        if not len(some):
            return 0.0, 0.0
        losses, logs = (self.first + some) * self.gap, np.log(self.masses[some])

        def above(sign: int, slopes: np.ndarray) -> float:
            def bound(slope: float) -> float:
                return (steps * float(logsumexp(logs + sign * slope * losses)) - float(np.log(_OFF))) / slope

            best = min(slopes, key=bound)
            return min(bound(best), *(bound(max(best * factor, slopes[0])) for factor in _FINER))

        high = min(above(1, _SLOPES), float(losses[-1]) * steps)
        low = max(-above(-1, _SLOPES[_SLOPES >= 1]), float(losses[0]) * steps)
        return min(low, high), high  # they cross where next to all mass is a breach

    def _curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(m,) grid of epsilons >= 0, (m,) probability of a loss above each, and (m,) the mean of exp(epsilon - loss) over those."""
        masses = self.masses[max(0, -self.first) :]
        masses = np.concatenate([np.zeros(max(0, self.first) + (not len(masses))), masses])
        above = np.cumsum(masses[::-1])[::-1] - masses
        return np.arange(len(masses)) * self.gap, above.clip(0), _discounted(masses, self.gap)

    def epsilon(self, delta: float) -> float:
        """The least epsilon >= 0 at a delta; inf where none is enough."""
        if self.breach >= delta:
            return float("inf")
        epsilons, above, without = self._curve()
        at = int(np.flatnonzero(self.breach + above - without <= delta)[0])
        if at == 0:
            return 0.0
        # between grid points delta is a line in exp(epsilon)
        return float(epsilons[at - 1] + np.log((self.breach + above[at - 1] - delta) / without[at - 1]))

    def delta(self, epsilon: float) -> float:
        """The least delta at an epsilon >= 0."""
        losses = (self.first + np.arange(len(self.masses))) * self.gap
        more = losses > epsilon
        return float(min(1.0, self.breach - (self.masses[more] * np.expm1(epsilon - losses[more])).sum()))

    def worst(self, probability: float) -> float:
        """How likely an outcome of this probability without the rows can be with them: the least exp(epsilon) p + delta.

        Concave in the probability, so what holds for each of many outcomes holds for their mean as well.
        """
        epsilons, above, without = self._curve()
        with np.errstate(over="ignore"):
            bounds = self.breach + above - without + (np.exp(epsilons) * probability if probability else 0.0)
        return float(min(1.0, bounds.min()))


def _discounted(masses: np.ndarray, gap: float) -> np.ndarray:
    """(m,) of each place the sum of all masses above, each times exp(-its distance); in parts of which exponentials are numbers."""
    sums = np.empty(len(masses))
    size = max(1, int(_HOPELESS / 2 / gap))
    beyond = 0.0  # all masses after the part, as seen from the first place after it
    for begin in reversed(range(0, len(masses), size)):
        part = masses[begin : begin + size]
        far = np.exp(-gap * np.arange(len(part) + 1))
        after = np.append(np.cumsum((part * far[:-1])[:0:-1])[::-1], 0.0) + beyond * far[-1]
        sums[begin : begin + size] = after / far[:-1]
        beyond = float(part[0] + after[0])
    return sums


def of_run(noise: float, rate: float, steps: int, rows: int = 1, *, present: bool) -> Loss:
    """The privacy loss of `steps` steps about `rows` rows, that are all in the set or all not; arguments as in `of_step`."""
    rough = of_step(noise, rate, rows, np.inf, present=present)
    low, high = rough.span(steps)
    wanted = min(_COARSEST, float(np.sqrt(8 * _EXCESS / steps)))
    return of_step(noise, rate, rows, max(wanted, (high - low) / _CELLS), present=present).composed(steps, (low, high))


def of_step(noise: float, rate: float, rows: int, gap: float, *, present: bool) -> Loss:
    """The privacy loss of one step about `rows` rows, on a grid of this gap, as far as it gives a sensible number of cells.

    noise: standard deviation over the longest a row's vector can be, > 0.  rate: probability that a row is drawn, in (0, 1].
    present: of outcomes with the rows against without; False = the other way about.
    """
    shifts, logs = _mixture(rate, rows)
    edges = np.array([-_TAIL * noise, _farthest(noise, shifts, logs) if present else _TAIL * noise])
    edges = np.clip(edges, *_inverse(np.array([-_HOPELESS, _HOPELESS]), edges, noise, shifts, logs))
    low, high = _log_ratio(edges, noise, shifts, logs)
    if not low < high:
        return Loss(0, 1.0, np.zeros(1), 1.0)  # all of it lies beyond hope
    gap = float(np.clip(gap, (high - low) / _CELLS, (high - low) / _FEWEST))
    numbers = np.arange(np.floor(low / gap), np.ceil(high / gap) + 1)
    places = _inverse(numbers[1:-1] * gap, edges, noise, shifts, logs)  # inner borders of the cells
    places = np.concatenate([[edges[0]], places.clip(*edges), [edges[1]]])
    single = _cells(places / noise)
    mixed = sum(np.exp(log) * _cells((places - shift) / noise) for shift, log in zip(shifts, logs, strict=True))
    if present:
        return _spread(numbers, gap, mixed, single)
    return _spread(-numbers[::-1], gap, single[::-1], np.asarray(mixed)[::-1])


def _spread(numbers: np.ndarray, gap: float, chances: np.ndarray, without: np.ndarray) -> Loss:
    """Each cell's mass put on its two ends so that both distributions keep theirs: the curve of delta becomes a chord of the true one.

    What no cell holds is a breach.
    """
    raised = (chances - without * np.exp(numbers[:-1] * gap)) / -np.expm1(-gap)
    raised = np.clip(raised, 0, chances)
    masses = np.zeros(len(numbers))
    masses[:-1] += chances - raised
    masses[1:] += raised
    return Loss(int(numbers[0]), float(gap), masses, float(max(0.0, 1 - masses.sum())))


def _mixture(rate: float, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """How many of the rows are drawn, and the logarithms of how likely. What is next to impossible is left to the breach."""
    shifts = np.arange(rows + 1)
    chosen = gammaln(rows + 1) - gammaln(shifts + 1) - gammaln(rows - shifts + 1)
    logs = chosen + xlogy(shifts, rate) + xlog1py(rows - shifts, -rate)
    likely = logs > np.log(_TINY / (rows + 1))
    return shifts[likely], logs[likely]


def _farthest(noise: float, shifts: np.ndarray, logs: np.ndarray) -> float:
    """A place beyond which the mixture has next to no mass, by halving."""
    low, high = 0.0, float(shifts[-1]) + _TAIL * noise
    for _ in range(40):
        middle = (low + high) / 2
        beyond = float((np.exp(logs) * ndtr((shifts - middle) / noise)).sum())
        low, high = (middle, high) if beyond > _TINY else (low, middle)
    return high


def _log_ratio(x: np.ndarray, noise: float, shifts: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Logarithm of the mixture's density over the one Gaussian's; grows with x."""
    total = np.full(x.shape, -np.inf)
    for shift, log in zip(shifts, logs, strict=True):
        total = np.logaddexp(total, log + shift * (2 * x - shift) / (2 * noise**2))
    return total


def _inverse(wanted: np.ndarray, edges: np.ndarray, noise: float, shifts: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Where the logarithm of the ratio has the wanted values."""
    if len(shifts) == 1:
        return np.asarray(wanted * noise**2 / shifts[0] + shifts[0] / 2)
    if len(shifts) == 2 and shifts[0] == 0:  # one row: mixture / Gaussian = 1 - q + q exp((2 k x - k²) / 2 noise²)
        excess = wanted + np.log(-np.expm1(np.minimum(logs[0] - wanted, -_ROUNDING)))
        return np.asarray((excess - logs[1]) * noise**2 / shifts[1] + shifts[1] / 2)
    table = np.linspace(edges[0], edges[1], 1 << 14)
    ratios = _log_ratio(table, noise, shifts, logs)
    about = np.interp(wanted, ratios, table)
    rise = np.interp(about, table, np.gradient(ratios, table)).clip(1e-9)
    return np.asarray(about + (wanted - _log_ratio(about, noise, shifts, logs)) / rise)  # one step of Newton's method


def _cells(borders: np.ndarray) -> np.ndarray:
    """Mass of the standard Gaussian between borders, each tail seen from its own end."""
    below, beyond = ndtr(borders), ndtr(-borders)
    return np.where(borders[1:] < 0, np.diff(below), -np.diff(beyond))
