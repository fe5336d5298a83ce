"""Hosts whose samples became something else far more often than those of the others, as they do when a domain has a new owner.

The null is that contents change by chance, each by itself, everywhere at the rate of the other hosts. A site that is redesigned breaks
it as well: that is worth a look, too, and looks alike from outside.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import final

from untaint.errors import BadInput

ALPHA = 0.01
"""Chance that any host of an honest set is told, if contents change by chance alone."""
FEWEST = 3
"""Changed samples of a host from which it is told; of fewer nobody profits."""


@final
@dataclass(frozen=True)
class Host:
    """A host whose samples became something else more often than those of the others. p_value: corrected for all hosts."""

    name: str
    changed: int
    total: int
    p_value: float


def outlying(
    changed: Mapping[str, int],
    totals: Counter[str],
    among: Collection[str] | None = None,
    *,
    elsewhere: int = 0,
    alpha: float = ALPHA,
    fewest: int = FEWEST,
) -> list[Host]:
    """Hosts that changed more than the rest of the set does, by the binomial tail, Bonferroni over hosts; the surest first.

    changed, totals: samples by host.  among: hosts that are tested, None = all.  elsewhere: changed samples of no host.
    """
    every, found = sum(changed.values()) + elsewhere, []
    tested = set(totals if among is None else among)
    for name in sorted(tested & set(changed)):
        number = changed[name]
        rest = max(1, totals.total() - totals[name])
        rate = (every - number + 1) / (rest + 1)  # of the others, never 0
        p_value = min(1.0, _tail(number, totals[name], min(rate, 1.0)) * len(tested))
        if number >= fewest and p_value <= alpha:
            found.append(Host(name, number, totals[name], p_value))
    return sorted(found, key=lambda host: host.p_value)


def _tail(least: int, total: int, rate: float) -> float:
    """Chance of at least so many of `total`."""
    from scipy.special import betainc

    if least > total:
        raise BadInput(f"{least} of {total} samples changed.", advice="The seal does not fit: seal again.")
    return 1.0 if least == 0 or math.isclose(rate, 1.0) else float(betainc(least, total - least + 1, rate))
