"""One vector out of many of which some are bad, whatever the bad ones hold: the door to all robust means.

NaN first: a row with anything that is not finite is left out and counted as one of the f bad ones. What remains goes to a rule.
Nothing that is passed in is written to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from untaint.errors import BadInput
from untaint.numerics import aggregation_distances as distances
from untaint.numerics.aggregation_ranks import middle_mean, weighted_middle_mean

CAP = 2.0
"""How many times the median worker's weight a worker may count: honest shares differ by more, but a claim is only a claim."""
_SHARE = 0.1
"""Share of rows that may be bad where nobody says how many: a trimmed mean of honest rows is then 5 to 7 % less precise than their mean
(normal numbers, n = 8 to 100), a median 25 to 36 %."""


class TooManyBad(BadInput):
    """More rows are bad than was to be expected, or could be: no answer would be safe."""


class TooHeavy(TooManyBad):
    """The f rows that weigh most hold half of all weight."""


@final
@dataclass(frozen=True)
class Sound:
    """What is left of rows once the unusable are out.

    rows: (m, d) finite.  f: how many of these may still be bad, 2f < m.  kept: (m,) their places among those given.
    weights: (m,) how much each counts; None = alike.
    """

    rows: np.ndarray
    f: int
    kept: np.ndarray
    weights: np.ndarray | None = None

    @property
    def heaviest(self) -> float:
        """How much weight f rows can hold."""
        return float(self.f) if self.weights is None else float(np.sort(self.weights)[len(self.rows) - self.f :].sum())


def usual_f(n: int) -> int:
    """How many of n rows may be bad where nobody says: a tenth, at least one where that is a minority."""
    return min(max(1, int(_SHARE * n)), max(0, (n - 1) // 2))


def capped(claims: np.ndarray, cap: float = CAP) -> np.ndarray:
    """Weights (n,) that workers claim, none above `cap` times the median; NaN where a claim is negative or not a number."""
    given = np.asarray(claims, np.float64)
    sane = np.where(given >= 0, given, np.nan)
    known = sane[~np.isnan(sane)]
    return np.minimum(sane, cap * float(np.median(known))) if len(known) else sane


def sound(rows: np.ndarray, f: int, weights: np.ndarray | None = None) -> Sound:
    """Leave out what is not finite, rows and weights; raises TooManyBad when that is more than f, BadInput for other shapes.

    rows: (n, d), integers become float64, half precision float32.  weights: (n,), taken as they are, see `capped`.
    """
    given = _floating(np.asarray(rows))
    if given.ndim != 2 or not len(given):
        raise BadInput(f"Rows to aggregate have shape {given.shape}.", advice="Pass an array (n, d), a row per worker.")
    n = len(given)
    if f < 0 or 2 * f >= n:
        raise TooManyBad(
            f"{f} of {n} rows may be bad; no rule can tell the right ones unless they are the majority.",
            advice=f"Choose f from 0 to {(n - 1) // 2}, or have more rows.",
        )
    finite = np.fromiter((bool(np.isfinite(row).all()) for row in given), bool, n)
    counts = None
    if weights is not None:
        counts = np.asarray(weights, np.float64)
        if counts.shape != (n,):
            raise BadInput(f"{n} rows have weights of shape {counts.shape}.", advice="Pass one weight per row.")
        finite &= np.isfinite(counts) & (counts >= 0)
    return _without(Sound(given, f, np.arange(n), counts), finite)


def _without(before: Sound, fit: np.ndarray) -> Sound:
    lost = len(fit) - int(fit.sum())
    if lost > before.f:
        raise TooManyBad(
            f"{lost} of {len(fit)} rows are not finite or have no usable weight; at most {before.f} were to be expected.",
            advice="Keep the last good state and look at who sent them, or allow a greater f.",
        )
    weights = None if before.weights is None else before.weights[fit]
    left = Sound(before.rows[fit] if lost else before.rows, before.f - lost, before.kept[fit], weights)
    if weights is not None and 2 * left.heaviest >= weights.sum():
        raise TooHeavy(
            f"The {left.f} heaviest of {len(left.rows)} rows hold half of all weight.",
            advice="Cap the weights lower: nobody should count for many.",
        )
    return left


def _floating(rows: np.ndarray) -> np.ndarray:
    if rows.dtype in (np.float32, np.float64):
        return rows
    return rows.astype(np.float32 if rows.dtype == np.float16 else np.float64)


def _seen(given: Sound) -> tuple[Sound, distances.Space]:
    """The rows as the rules on distances see them; those too far away for float64 are left out, as if not finite."""
    seen = distances.space(given.rows)
    near = np.isfinite(seen.products.diagonal())
    if near.all():
        return given, seen
    left = _without(given, near)
    return left, distances.space(left.rows)


def mixed(given: Sound) -> Sound:
    """Nearest-neighbour mixing: rows as many, each a mean of its neighbourhood. A rule goes after it."""
    left, seen = _seen(given)
    return replace(left, rows=distances.nearest_neighbour_mixing(seen, left.f, left.weights))


def _mean(given: Sound) -> np.ndarray:
    counts = np.ones(len(given.rows)) if given.weights is None else given.weights
    return (counts / counts.sum()).astype(given.rows.dtype) @ given.rows


def _median(given: Sound) -> np.ndarray:
    if given.weights is None:
        return middle_mean(given.rows, (len(given.rows) - 1) // 2)
    return weighted_middle_mean(given.rows, given.weights, float(given.weights.sum()) / 2)


def _trimmed_mean(given: Sound) -> np.ndarray:
    if given.weights is None:
        return middle_mean(given.rows, given.f)
    return weighted_middle_mean(given.rows, given.weights, given.heaviest)


def _geometric_median(given: Sound) -> np.ndarray:
    left, seen = _seen(given)
    return distances.geometric_median(seen, left.weights)


def _krum(given: Sound) -> np.ndarray:
    left, seen = _seen(given)
    return distances.krum(seen, left.f)


def _multi_krum(given: Sound) -> np.ndarray:
    left, seen = _seen(given)
    return distances.multi_krum(seen, left.f, left.weights)


def _centered_clipping(given: Sound) -> np.ndarray:
    left, seen = _seen(given)
    return distances.centered_clipping(seen, weights=left.weights)


TRIMMED_MEAN = "trimmed-mean"
"""The rule where nobody names one."""
RULES: Mapping[str, Callable[[Sound], np.ndarray]] = {
    "mean": _mean,
    "median": _median,
    TRIMMED_MEAN: _trimmed_mean,
    "geometric-median": _geometric_median,
    "krum": _krum,
    "multi-krum": _multi_krum,
    "centered-clipping": _centered_clipping,
}
"""mean: of what is finite; one bad row moves it as far as it likes.
median, trimmed-mean: of each coordinate, the latter without the f least and f greatest.
geometric-median: least sum of distances.  krum, multi-krum: the row, the n - f rows, with the closest company.
centered-clipping: the coordinate median, moved by differences cut to their median length.
"""


def rule_named(name: str) -> Callable[[Sound], np.ndarray]:
    """The rule of a name; raises BadInput for others."""
    if name not in RULES:
        raise BadInput(f"There is no rule '{name}'.", advice=f"Choose one of {', '.join(RULES)}.")
    return RULES[name]


def aggregate(
    rows: np.ndarray, f: int | None = None, rule: str = TRIMMED_MEAN, *, mix: bool = False, weights: np.ndarray | None = None
) -> np.ndarray:
    """One vector (d,) of rows (n, d) of which at most f are bad; finite whatever they hold.

    f None: a tenth, at least one where that is a minority.  mix: nearest-neighbour mixing before the rule, for rows that honestly differ.
    weights: (n,), how much each row counts; cap what others claim, see `capped`.  Precision is that of the rows, at least float32.
    Raises TooManyBad when 2f >= n or more than f rows are not finite, BadInput for unknown rules and other shapes.
    """
    rule_named(rule)
    return combined(sound(rows, usual_f(len(rows)) if f is None else f, weights), rule, mix=mix)


def combined(left: Sound, rule: str, *, mix: bool) -> np.ndarray:
    """One vector (d,) of rows that `sound` has let through; raises as `aggregate` does."""
    return rule_named(rule)(mixed(left) if mix else left)
