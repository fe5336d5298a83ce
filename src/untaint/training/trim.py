"""Robust statistics on the loss: bounded losses, and the worst of a batch left out."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from untaint.numerics import bounded
from untaint.training.base import Defence, Hooks, Run, Seen, Stage, State, Trait, check_number, check_whole

Kind = Literal["log", "residual", "loss"]


@final
@dataclass(frozen=True)
class Trim(Defence):
    """Rows that contradict what the network reads in them count less, and the worst of each batch may be left out.

    Dirty-label poison is such a row: its content says one class, its label another, until the network has learned the trigger; what
    counts next to nothing teaches no trigger.
    power: q of the generalised cross-entropy: a row counts p^q, p being the probability of its own label; 0 = as ever.
    least: a row whose label is believed less than this counts nothing; 0 = never.
    width: for regression: a residual beyond this many robust standard deviations counts as if it were at that limit; 0 = as ever.
    share: of each batch, those with the greatest losses, left out.
    after: steps before rows are left out for `least` or `share`: until then the network reads too little; the bounds always hold.
    Stops: label flips, dirty-label backdoors that clipping (`clip`) keeps from being learned in the first steps, wild targets.
    Does not stop: one row of NaN, for which `harden` puts `guard` beside it; clean-label poison, whose labels fit; poison that a
    network learns before it reads the content: of 60,000 images with 5 % BadNets, clothes were learned too slowly, and power=0.4
    without least let the trigger in after four epochs of digits; of 10,000 digits, with least=0.02 and
    `clip`, a patch at 5 % still worked in 91 % of images.
    Needs: the loss of each row; targets that are class codes or probabilities for `power`, numbers for `width`.
    Cost: no time. Honest rows that are hard count less too: classes that are easily confused may be lost (shirts among clothes).
    For linear models there are `untaint.numerics.least_trimmed` and `untaint.numerics.sever`.
    Reference: Zhang, Sabuncu 2018, arXiv 1805.07836 (power); Huber 1964, doi 10.1214/aoms/1177703732 (width); Shen, Sanghavi 2019,
    arXiv 1810.11874 (share)
    """

    id: ClassVar[str] = "trim"
    stage: ClassVar[Stage] = Stage.WEIGH
    traits: ClassVar[frozenset[Trait]] = frozenset({"looks at the data"})
    power: float = 0.7
    width: float = 1.345
    least: float = 0.0
    share: float = 0.0
    after: int = 150

    @override
    def start(self, run: Run) -> Hooks:
        check_number("power", self.power, 0.0, 1.0)
        check_number("width", self.width, 0.0)
        check_number("least", self.least, 0.0, 1.0)
        check_number("share", self.share, 0.0, 0.5)
        check_whole("after", self.after, 0)
        kept = _Kept(self)
        return Hooks(weigh=kept.weigh, facts=kept.facts, state=kept.state, resume=kept.resume)


class _Kept:
    """What one run counts."""

    def __init__(self, chosen: Trim) -> None:
        self._chosen = chosen
        self._rows, self._left_out, self._not_finite = 0, 0, 0
        self._weight = 0.0

    def weigh(self, seen: Seen) -> np.ndarray:
        factors = self._bounded(seen)
        broken = ~np.isfinite(seen.losses)
        if self._chosen.share > 0 and seen.step >= self._chosen.after:
            out = bounded.worst(seen.losses, self._chosen.share)
            factors = np.where(out, 0.0, factors)
            self._left_out += int(out.sum())
        factors = np.where(broken, 0.0, factors)
        self._rows += len(factors)
        self._not_finite += int(broken.sum())
        self._weight += float(factors.sum())
        return factors

    def _bounded(self, seen: Seen) -> np.ndarray:
        kind = _kind(seen)
        if (
            kind != "residual"
        ):  # "loss" is that of a single logit, or of what else codes are compared with: a log loss all the same
            surprises = bounded.surprise(seen.outputs, seen.targets) if kind == "log" else seen.losses
            factors = bounded.believed(surprises, self._chosen.power)
            if self._chosen.least > 0 and seen.step >= self._chosen.after:
                out = bounded.believed(surprises, 1.0) < self._chosen.least
                self._left_out += int(out.sum())
                factors = np.where(out, 0.0, factors)
            return factors
        if self._chosen.width == 0:
            return np.ones(len(seen.losses))
        with np.errstate(over="ignore", invalid="ignore"):  # a residual that overflows counts 0
            apart = seen.outputs.astype(np.float64) - seen.targets.reshape(seen.outputs.shape)
            sizes = np.sqrt(np.square(apart.reshape(len(apart), -1)).sum(1))
        return bounded.within(sizes, self._chosen.width)

    def facts(self) -> dict[str, object]:
        mean = self._weight / self._rows if self._rows else 1.0
        return {"rows": self._rows, "mean_weight": mean, "left_out": self._left_out, "not_finite": self._not_finite}

    def state(self) -> State:
        return {"counts": np.array([self._rows, self._left_out, self._not_finite]), "weight": np.array(self._weight)}

    def resume(self, state: State) -> None:
        self._rows, self._left_out, self._not_finite = (int(count) for count in state["counts"])
        self._weight = float(state["weight"])


def _kind(seen: Seen) -> Kind:
    """What the targets are compared by."""
    codes = np.issubdtype(seen.targets.dtype, np.integer)
    if seen.outputs.ndim == 2 and seen.outputs.shape[1] > 1 and (codes and seen.targets.ndim == 1):
        return "log"
    if codes or seen.outputs.size != seen.targets.size:
        return "loss"
    return "log" if _shares(seen.targets) else "residual"


def _shares(targets: np.ndarray) -> bool:
    """Whether they are class probabilities (n, k): none negative, most rows summing to 1."""
    if targets.ndim != 2 or targets.shape[1] < 2:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.mean((np.abs(targets.sum(1) - 1) < 1e-3) & (targets >= 0).all(1)) > 0.5)
