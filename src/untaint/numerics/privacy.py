"""What training by noisy sums of sampled rows promises: epsilon and delta, and what any few poisoned rows can do.

Two accounts of the same steps. `renyi` is what libraries state most; `privacy_loss` is tighter, and is what is meant by epsilon here.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, isfinite, log
from typing import final

from untaint.errors import BadInput
from untaint.numerics import privacy_loss, renyi

_HOPELESS = 100.0  # an epsilon that says nothing: not worth the seconds the tighter account takes there
_CLOSE = 1e-3  # noise is found to a thousandth, on the safe side
_LOUDEST = 1e6  # more noise than any training survives


@final
@dataclass(frozen=True)
class NoisySteps:
    """Steps that each sum the vectors of sampled rows, none longer than 1, and add Gaussian noise.

    noise: its standard deviation, >= 0; in training: over the norm that gradients are clipped to.
    rate: probability with which each row is drawn, each by itself, 0..1.  steps: >= 0.
    """

    noise: float
    rate: float
    steps: int

    def __post_init__(self) -> None:
        if not (isfinite(self.noise) and self.noise >= 0):
            raise BadInput(f"noise must be a number of 0 or more, not {self.noise}.", advice="1 is usual.")
        if not 0 <= self.rate <= 1:
            raise BadInput(f"The rate at which rows are drawn must lie in 0..1, not {self.rate}.", advice="It is batch / rows.")
        if self.steps < 0:
            raise BadInput(f"steps must be 0 or more, not {self.steps}.")

    def epsilon(self, delta: float, rows: int = 1) -> float:
        """The least epsilon so that no outcome is more than exp(epsilon) times as likely, plus delta, for `rows` rows more or less.

        An upper bound: of one row within 1e-3 of the truth where it is under 20; inf where nothing is promised. delta in (0, 1).
        """
        _check(delta)
        if not self._tells(rows):
            return 0.0
        if self.noise == 0:
            return inf
        known = self.renyi_epsilon(delta) if rows == 1 else inf
        if known > _HOPELESS and rows == 1:
            return known
        return min(known, max(_loss(self, rows, present).epsilon(delta) for present in (True, False)))

    def renyi_epsilon(self, delta: float) -> float:
        """The same of one row by the older account, Rényi's, to compare with what others state."""
        _check(delta)
        if not self._tells(1):
            return 0.0
        return inf if self.noise == 0 else renyi.epsilon(self.steps * renyi.divergences(self.noise, self.rate), delta)

    def worst(self, probability: float, rows: int, *, changed: bool = False) -> float:
        """The most an outcome of this probability can have when an attacker adds `rows` rows, whatever they hold.

        The least exp(epsilon) p + delta over all pairs that hold at once, 0..1; holds for the mean of many outcomes too, such as the
        expected test error, since it is concave in p.  changed: the attacker replaced as many of the rows instead.
        """
        if not 0 <= probability <= 1:
            raise BadInput(f"A probability lies in 0..1, not {probability}.")
        if not self._tells(rows):
            return probability
        if self.noise == 0:
            return 1.0
        before = _loss(self, rows, False).worst(probability) if changed else probability  # without them, and then with others
        return _loss(self, rows, True).worst(before)

    def _tells(self, rows: int) -> bool:
        if rows < 0:
            raise BadInput(f"A number of rows is 0 or more, not {rows}.")
        return rows > 0 and self.rate > 0 and self.steps > 0


@final
@dataclass(frozen=True)
class Withstood:
    """What is certain about some poisoned rows. clean, poisoned: probability of an outcome without them, and at most with them."""

    rows: int
    epsilon: float
    delta: float
    clean: float
    poisoned: float
    changed: bool

    def __str__(self) -> str:
        some = f"{self.rows} row{'s are' if self.rows != 1 else ' is'} {'replaced' if self.changed else 'added'}"
        bound = f"exp({self.epsilon:.3g}) times as likely, plus {self.delta:.2g}"
        return (
            f"When {some}, whatever they hold, no outcome of training gets more than {bound}: a test answer that is wrong with "
            f"probability {self.clean:.3g} without them is wrong with probability at most {self.poisoned:.3g} with them."
        )


def withstands(training: NoisySteps, rows: int, delta: float, probability: float = 0.05, *, changed: bool = False) -> Withstood:
    """What training withstands: the bound on any outcome, and on one of this probability (see `NoisySteps.worst`).

    Ma, Zhu, Hsu 2019 (arXiv 1903.09860) bound an attacker's gain so, by epsilon times the number of rows; here each number of rows
    has an account of its own, which is less (Ganesh 2024, arXiv 2401.10294). Holds over the chance of training: for an attacker who
    does not know the noise. Replacing is removing and adding: epsilons add up, and delta grows to (1 + exp(epsilon)) delta.
    """
    epsilon = training.epsilon(delta, rows)
    worst = training.worst(probability, rows, changed=changed)
    if changed and rows:
        grown = min(1.0, delta * (1 + exp(min(epsilon, 700.0))))
        return Withstood(rows, 2 * epsilon, grown, probability, worst, changed=True)
    return Withstood(rows, epsilon, delta, probability, worst, changed=False)


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The least noise, to a thousandth, with which epsilon is kept at delta. BadInput: none does, or epsilon is not in 0..100."""
    if not 0 < epsilon <= _HOPELESS:
        raise BadInput(f"epsilon must lie above 0 and be at most {_HOPELESS:g}, not {epsilon}.", advice="1 to 10 are usual.")
    _check(delta)
    from scipy.optimize import brentq  # a second to load, for few

    def excess(noise: float) -> float:
        return log(min(max(NoisySteps(noise, rate, steps).epsilon(delta), 1e-9), 2 * _HOPELESS) / epsilon)

    high = 1.0
    while excess(high) > 0:
        high *= 2
        if high > _LOUDEST:
            raise BadInput(f"No amount of noise keeps epsilon at {epsilon} for {steps} steps.", advice="Allow a larger epsilon.")
    low = high / 2
    while excess(low) <= 0:
        if low < 1 / _LOUDEST:  # no steps, or no rows: there is nothing to hide
            return low
        low, high = low / 2, low
    found = float(brentq(excess, low, high, xtol=_CLOSE / 4 * low))
    while excess(found) > 0:
        found *= 1 + _CLOSE / 4
    return found


def _check(delta: float) -> None:
    if not 0 < delta < 1:
        raise BadInput(f"delta must lie between 0 and 1, not {delta}.", advice="Well under 1 / number of rows is usual.")


@lru_cache(8)  # megabytes each
def _loss(training: NoisySteps, rows: int, present: bool) -> privacy_loss.Loss:
    return privacy_loss.of_run(training.noise, training.rate, training.steps, rows, present=present)
