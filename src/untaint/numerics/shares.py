"""How well a share is known from a count."""

from scipy.stats import beta

_LEVEL = 0.95


def interval(hits: float, trials: float) -> tuple[float, float]:
    """Bounds of a share that hold in 95 of 100 cases at least (Clopper, Pearson 1934, doi 10.1093/biomet/26.4.404); trials > 0."""
    tail = (1 - _LEVEL) / 2
    low = float(beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0
    return low, high


def bounds(hits: float, trials: float) -> str:
    """The same in words."""
    low, high = interval(hits, trials)
    return f"{100 * _LEVEL:.0f} % interval {low:.0%} to {high:.0%}"
