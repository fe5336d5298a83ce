"""How far a measure of one thing may exceed that of a like thing by chance, told from a few pairs known to be alike."""

from math import sqrt

from scipy.stats import t as student


def excess_p(excess: float, mean: float, spread: float, pairs: int) -> float:
    """P(so large an excess or a larger one between two that are alike), NaN for an excess that is not known.

    mean, spread: of the excesses of `pairs` pairs known to be alike (spread with pairs - 1 degrees of freedom): a prediction for one
    more pair, normal in the middle, as heavy in the tails as so few pairs allow. Raises ValueError for fewer than two pairs.
    """
    if pairs < 2:
        message = f"a spread needs two pairs at least, not {pairs}"
        raise ValueError(message)
    return float(student.sf((excess - mean) / (spread * sqrt(1 + 1 / pairs)), pairs - 1))
