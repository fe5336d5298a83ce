"""Training on inputs changed against the network: by who would evade it, or as who would poison it."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias, final, get_args

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.training.base import (
    Batch,
    Defence,
    Hooks,
    Run,
    Slope,
    Stage,
    Trait,
    check_known,
    check_number,
    check_whole,
)

Against: TypeAlias = Literal["evasion", "poison"]
_OVERSHOOT = 2.5
"""Steps reach this many times the bound in all, so that a search can cross it from any start (Madry et al. 2018, code of its authors)."""


@final
@dataclass(frozen=True)
class Adversarial(Defence):
    """Rows are changed, within eps of what they were, so that the network errs on them, and learned with their right label.

    against: evasion (each chosen row is pushed from its own label) or poison (each is pushed towards the label of another row of
    the batch, as who poisons does to get that label's rows read as this one).
    share: of each batch that is changed; the rest stays as it is and keeps accuracy up.
    eps: greatest change of a value, in the unit of the inputs.  steps: of the search.  step: of each, None = 2.5 eps / steps.
    low, high: range of the inputs.  after: epochs before it begins, for networks that learn nothing else.
    Stops: evasion: small changes at test time. poison: gradient matching and feature collision, in part.
    Does not stop: patches, label flips; one row of NaN or of extreme size, for which `harden` puts `guard` beside it. Evasion training
    makes a network follow what it is shown: see the warning.
    Needs: inputs of real numbers; the loop's slope of the loss by the inputs.
    Cost: steps + 1 times the training.
    Reference: Madry, Makelov, Schmidt, Tsipras, Vladu 2018, arXiv 1706.06083; Geiping, Fowl, Somepalli, Goldblum, Moeller, Goldstein
    2021, arXiv 2102.13624 (poison: half of each batch; there the change matches gradients, which takes gradients of gradients, here it
    goes towards the other label). TRADES (Zhang et al. 2019) needs the answer to the clean row beside that to the changed one, in one
    loss, which no hook can give; `share` trades accuracy for robustness in its place.
    """

    id: ClassVar[str] = "adversarial"
    stage: ClassVar[Stage] = Stage.ALTER
    traits: ClassVar[frozenset[Trait]] = frozenset({"looks at the data"})
    warning: ClassVar[str] = (
        "Training against evasion can make clean-label backdoors work better: published success rose from 17 to 67 % on MNIST and "
        "from 64 to 99.9 % on CIFAR-10 (Weng, Lee, Wu 2020). Audit the data first, or train against poison."
    )
    against: Against = "evasion"
    share: float = 0.5
    eps: float = 0.03
    steps: int = 5
    step: float | None = None
    low: float = 0.0
    high: float = 1.0
    after: int = 0

    @override
    def start(self, run: Run) -> Hooks:
        check_known("against", self.against, get_args(Against))
        check_number("share", self.share, 0.0, 1.0)
        check_number("eps", self.eps, 0.0, 1e6)
        check_whole("steps", self.steps, 1)
        check_whole("after", self.after, 0)
        if self.step is not None:
            check_number("step", self.step, 0.0, 1e6)
        check_number("low", self.low, -1e6)
        check_number("high", self.high, self.low, 1e6)
        kept = _Kept(self, run)
        return Hooks(alter=kept.alter, facts=kept.facts)


class _Kept:
    """One run. Chance depends on seed, epoch and step alone, so that there is nothing to write down but counts."""

    def __init__(self, chosen: Adversarial, run: Run) -> None:
        self._chosen, self._run = chosen, run
        self._changed = 0

    def alter(self, batch: Batch, slope: Slope) -> Batch:
        chosen, given = self._chosen, batch.inputs[0]
        if not np.issubdtype(given.dtype, np.floating):
            message = f"training on changed inputs needs real numbers, these are {given.dtype}."
            raise BadInput(message, advice=f"Leave {chosen.id} out.")
        if batch.targets is None:
            raise BadInput(
                "training on changed inputs needs targets, and the loader gives none.", advice=f"Leave {chosen.id} out."
            )
        rng = self._run.rng(f"adversarial {batch.epoch} {batch.step}")
        rows = self._rows(given, rng)
        if batch.epoch < chosen.after or len(rows) == 0:
            return batch
        wanted, away = batch.targets[rows], 1.0
        if chosen.against == "poison":
            wanted, away = _others(batch.targets, rows, rng), -1.0
        inputs = given.copy()
        inputs[rows] = self._searched(given[rows], wanted, away, slope, rng)
        self._changed += len(rows)
        return replace(batch, inputs=(inputs, *batch.inputs[1:]))

    def _rows(self, given: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Which rows are changed: a share drawn at random, of those that lie in the range."""
        flat = given.reshape(len(given), -1)
        width = (self._chosen.high - self._chosen.low) + self._chosen.eps
        near = (flat >= self._chosen.low - width) & (flat <= self._chosen.high + width)
        sound = np.asarray(near.all(1))
        drawn = rng.permutation(len(given))[: round(self._chosen.share * len(given))]
        return np.sort(drawn[sound[drawn]])

    def _searched(
        self, start: np.ndarray, targets: np.ndarray, away: float, slope: Slope, rng: np.random.Generator
    ) -> np.ndarray:
        """Projected steps along the signs of the slope, from a random start in reach. A slope that is not finite moves nothing."""
        chosen = self._chosen
        step = _OVERSHOOT * chosen.eps / chosen.steps if chosen.step is None else chosen.step
        least, most = np.maximum(start - chosen.eps, chosen.low), np.minimum(start + chosen.eps, chosen.high)
        most = np.maximum(least, most)  # a value outside the range goes towards it as far as eps allows
        found = np.clip(start + rng.uniform(-chosen.eps, chosen.eps, start.shape), least, most).astype(start.dtype)
        for _ in range(chosen.steps):
            direction = np.nan_to_num(np.sign(slope(found, targets)))
            found = np.clip(found + away * step * direction, least, most).astype(start.dtype)
        return found

    def facts(self) -> dict[str, object]:
        found: dict[str, object] = {"rows_changed": self._changed}
        if self._chosen.against == "evasion":
            found["warning"] = self._chosen.warning
        return found


def _others(targets: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row the targets of another row of the batch, of another class where the batch holds one."""
    partners = rng.integers(0, len(targets), len(rows))
    for _ in range(_DRAWS):
        same = (targets[partners] == targets[rows]).reshape(len(rows), -1).all(1)
        if not same.any():
            break
        partners[same] = rng.integers(0, len(targets), int(same.sum()))
    return targets[partners]


_DRAWS = 20
"""Of a batch of two classes, a row in a million is left with its own after as many draws."""
